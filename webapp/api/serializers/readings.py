"""Signed readings."""

from __future__ import annotations

from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.labels.readings import MAX_COMMENT_LENGTH


class ReadingSerializer(f.Serializer):
    """A signed statement on a study; never changed, a later one may supersede it."""

    id = f.IdField()
    study = f.UUIDField(source="study_id", help_text="ID of the study that was read")
    signed_by = f.CharField(source="signed_as", help_text="the reader's name at the time")
    signed_at = f.DateTimeField(source="created_at", help_text="when it was signed")
    findings = f.ListField(child=f.CharField(), help_text="codes of the findings")
    comment = f.CharField(help_text="the impression, free text; may be empty")
    comparison = f.CharField(help_text="comparison with prior images, free text; may be empty")
    evidence = f.ListField(child=f.DictField(), help_text="the result of each scan at that time")
    supersedes = f.UUIDOrNullField("supersedes_id", "ID of the reading it replaces")
    superseded_by = f.UUIDOrNullField(
        "superseded_by.pk", "ID of the reading that replaced it; null if current"
    )
    sha256 = f.CharField(help_text="SHA-256 of all that the reading states")


class ReadingCreateSerializer(RequestSerializer):
    findings = f.ListField(
        child=f.StrictCharField(max_length=64),
        min_length=1,
        max_length=20,
        help_text="codes of the models' findings, or `other`; `normal` and `inconclusive` only alone",
    )
    comment = f.StrictCharField(
        max_length=MAX_COMMENT_LENGTH,
        allow_blank=True,
        default="",
        help_text="required with the finding `other`",
    )
    comparison = f.StrictCharField(
        max_length=MAX_COMMENT_LENGTH, allow_blank=True, default="", help_text="comparison with prior images"
    )
    after = f.SupersededField("ID of the caller's current reading, which this one supersedes; null if none")
