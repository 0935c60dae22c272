"""Problem details, the one shape of every refusal."""

from __future__ import annotations

from rest_framework import serializers


class ProblemSerializer(serializers.Serializer):
    """RFC 9457 problem details. `code` is stable: docs/api-errors.md lists each with its remedy.

    `errors` names fields that are wrong; `scope` is the one that a token lacks.
    """

    type = serializers.CharField(help_text="urn:hilum:error:CODE")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    remedy = serializers.CharField()
    request_id = serializers.CharField()
    errors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()), required=False)
    scope = serializers.CharField(required=False)
    permission = serializers.CharField(required=False)
