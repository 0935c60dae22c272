"""Measurements, marks and key images of an image."""

from __future__ import annotations

from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.labels.marks.key_images import COLOURS, LARGEST
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


def _numbers(count: int, help_text: str) -> f.ListField:
    number = f.StrictFloatField(min_value=-LARGEST, max_value=LARGEST)
    return f.ListField(child=number, min_length=count, max_length=count, help_text=help_text)


class KeyImageViewSerializer(RequestSerializer):
    """What a viewer showed: window, part, turn and heatmap."""

    width = f.StrictFloatField(min_value=1e-6, max_value=LARGEST, help_text="window, stored grey levels")
    level = f.StrictFloatField(min_value=-LARGEST, max_value=LARGEST, help_text="its middle")
    inverted = f.StrictBooleanField(help_text="whether dark and bright are swapped")
    zoom = f.StrictFloatField(min_value=0.01, max_value=1000, help_text="relative to the fitted image")
    offset = _numbers(3, "of the centre, in half heights of the image")
    rotation = f.StrictIntegerField(min_value=0, max_value=270, help_text="0, 90, 180 or 270 degrees")
    flipHorizontal = f.StrictBooleanField(help_text="mirrored left and right")
    flipVertical = f.StrictBooleanField(help_text="mirrored up and down")
    area = _numbers(4, "left, top, right and bottom of what is shown, in pixels of the displayed image")
    axes = f.ListField(
        child=f.StrictIntegerField(min_value=-1, max_value=1),
        min_length=4,
        max_length=4,
        help_text="where the axes of the image point on the screen: x right, x down, y right, y down",
    )
    finding = f.StrictCharField(max_length=64, allow_null=True, help_text="finding of the heatmap")
    opacity = f.StrictFloatField(min_value=0, max_value=1, help_text="of the heatmap; 0: off")
    threshold = f.StrictFloatField(min_value=0, max_value=1, help_text="below which the heatmap is clear")
    colours = f.ChoiceField(COLOURS, help_text="of the heatmap")
    outlines = f.StrictBooleanField(help_text="whether the heatmap is drawn as lines")


class KeyImageSerializer(f.Serializer):
    """A view that a reader marked as important."""

    id = f.IdField()
    scan = f.UUIDField(source="scan_id", help_text="ID of the scan")
    view = KeyImageViewSerializer(help_text="what the reader saw")
    saved_by = f.CharField(source="signed_as", help_text="the name at the time of whoever marked it")
    saved_at = f.DateTimeField(source="created_at", help_text="when it was marked")


class KeyImageCreateSerializer(RequestSerializer):
    view = KeyImageViewSerializer(help_text="what the viewer shows")
