"""Problem details, the one form of every error."""

from __future__ import annotations

from rest_framework.serializers import CharField, DictField, IntegerField, ListField, Serializer


class ProblemSerializer(Serializer):
    """RFC 9457 problem details. `code` is stable: docs/api-errors.md lists each with its remedy."""

    type = CharField(help_text="urn:hilum:error:CODE")
    title = CharField(help_text="the HTTP status in words")
    status = IntegerField(help_text="the HTTP status")
    detail = CharField(help_text="what is wrong")
    code = CharField(help_text="stable code for programs, such as `not_found`")
    remedy = CharField(help_text="what to do about it")
    request_id = CharField(help_text="also in the header X-Request-ID and the server log")
    errors = DictField(
        child=ListField(child=CharField()),
        required=False,
        help_text="field or parameter to what is wrong with it",
    )
    scope = CharField(required=False, help_text="scope that the token lacks, with `insufficient_scope`")
    permission = CharField(required=False, help_text="permission that the role lacks, with `forbidden`")
