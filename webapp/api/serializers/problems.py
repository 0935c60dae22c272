"""Problem details, the one form of every error."""

from __future__ import annotations

from webapp.api import fields as f


class ProblemSerializer(f.Serializer):
    """RFC 9457 problem details. `code` is stable: docs/api-errors.md lists each with its remedy."""

    type = f.CharField(help_text="urn:hilum:error:CODE")
    title = f.CharField(help_text="the HTTP status in words")
    status = f.IntegerField(help_text="the HTTP status")
    detail = f.CharField(help_text="what is wrong")
    code = f.CharField(help_text="stable code for programs, such as `not_found`")
    remedy = f.CharField(help_text="what to do about it")
    request_id = f.CharField(help_text="also in the header X-Request-ID and the server log")
    errors = f.DictField(
        child=f.ListField(child=f.CharField()),
        required=False,
        help_text="field or parameter to what is wrong with it",
    )
    scope = f.CharField(required=False, help_text="scope that the token lacks, with `insufficient_scope`")
    permission = f.CharField(required=False, help_text="permission that the role lacks, with `forbidden`")
