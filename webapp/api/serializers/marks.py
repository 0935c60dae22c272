"""Measurements, marks and key images of an image."""

from __future__ import annotations

from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.labels.marks.models import MarkKind
from webapp.labels.marks.services import MAX_TEXT

POINTS_HELP = "x and y of each point in pixels of the displayed image, 0 at the outer edge of the first pixel"


class MarkSerializer(f.Serializer):
    """One version of a measurement or mark; never changed, a later one may supersede it."""

    id = f.IdField()
    scan = f.UUIDField(source="scan_id", help_text="ID of the scan")
    kind = f.ChoiceField(MarkKind.choices, help_text="kind of mark")
    points = f.ListField(child=f.ListField(child=f.FloatField()), help_text=POINTS_HELP)
    text = f.CharField(help_text="free text; may be empty")
    values = f.DictField(
        help_text="what the server measured: `px`, `mm` with `mm_at` (`detector`, `patient` or `unstated`), "
        "`degrees`, `ratio`, or `mean`, `sd`, `min`, `max` and `value` as modality values"
    )
    deleted = f.BooleanField(help_text="whether this version deletes the mark")
    saved_by = f.CharField(source="signed_as", help_text="the name at the time of whoever saved this version")
    saved_at = f.DateTimeField(source="created_at", help_text="when this version was saved")
    supersedes = f.UUIDOrNullField("supersedes_id", "ID of the version it replaces")
    superseded_by = f.UUIDOrNullField(
        "superseded_by.pk", "ID of the version that replaced it; null if current"
    )


class MarkChangeSerializer(RequestSerializer):
    points = f.ListField(
        child=f.ListField(
            child=f.StrictFloatField(min_value=0, max_value=100000), min_length=2, max_length=2
        ),
        min_length=1,
        max_length=4,
        help_text=POINTS_HELP,
    )
    text = f.StrictCharField(
        max_length=MAX_TEXT, allow_blank=True, default="", help_text="required for an arrow"
    )


class MarkCreateSerializer(MarkChangeSerializer):
    kind = f.ChoiceField(
        MarkKind.choices,
        help_text="`length`, `rectangle`, `ellipse` and `arrow` have 2 points, `angle` 3, `probe` 1, "
        "`cardiothoracic` 4 (heart, then thorax)",
    )


VIEW_HELP = (
    "`width` and `level` in stored grey levels, `inverted`; `zoom` relative to the fitted image, `offset`, "
    "`rotation`, `flipHorizontal`, `flipVertical`; `area`: left, top, right and bottom of what is shown, in "
    "pixels of the displayed image; `axes`: x right, x down, y right, y down on the screen; and of the "
    "heatmap `finding`, `opacity` (0: off), `threshold`, `colours` and `outlines`"
)


class KeyImageSerializer(f.Serializer):
    """A view that a reader marked as important."""

    id = f.IdField()
    scan = f.UUIDField(source="scan_id", help_text="ID of the scan")
    view = f.DictField(help_text=VIEW_HELP)
    saved_by = f.CharField(source="signed_as", help_text="the name at the time of whoever marked it")
    saved_at = f.DateTimeField(source="created_at", help_text="when it was marked")


class KeyImageCreateSerializer(RequestSerializer):
    view = f.DictField(help_text=VIEW_HELP)
