"""Readings as the API tells and takes them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from webapp.api.fields import Key, Text
from webapp.labels.models import Reading
from webapp.labels.readings import MAX_COMMENT_LENGTH


class ReadingSerializer(serializers.Serializer):
    """A signed statement on a study; it is never changed, a later one may supersede it."""

    id = serializers.UUIDField()
    study = serializers.UUIDField(help_text="the study that was read, wherever its scans are filed now")
    signed_by = serializers.CharField()
    signed_at = serializers.DateTimeField()
    findings = serializers.ListField(child=serializers.CharField())
    comment = serializers.CharField()
    evidence = serializers.ListField(
        child=serializers.DictField(), help_text="what Hilum said of each scan when it was read"
    )
    supersedes = serializers.UUIDField(allow_null=True)
    superseded_by = serializers.UUIDField(allow_null=True)
    sha256 = serializers.CharField(help_text="the seal of all that the reading states")


class SignSerializer(serializers.Serializer):
    """`after` names the own reading that this one corrects; without one it is left out."""

    findings = serializers.ListField(child=Text(max_length=64), min_length=1, max_length=20)
    comment = Text(max_length=MAX_COMMENT_LENGTH, allow_blank=True, default="")
    after = Key(required=False, allow_null=True, default=None)


def reading_answer(reading: Reading) -> dict[str, Any]:
    later = getattr(reading, "superseded_by", None)
    return {
        "id": reading.pk,
        "study": reading.study_id,
        "signed_by": reading.signed_as,
        "signed_at": reading.created_at,
        "findings": reading.findings,
        "comment": reading.comment,
        "evidence": reading.evidence,
        "supersedes": reading.supersedes_id,
        "superseded_by": later.pk if later else None,
        "sha256": reading.sha256,
    }
