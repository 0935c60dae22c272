"""Labels, their import, and imported labelled data (manifests)."""

from __future__ import annotations

from typing import Any

from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.api.serializers.uploads import InvalidLineSerializer, TableReadingSerializer
from webapp.labels.annotation import MAX_LABEL_FINDINGS, LabelContent
from webapp.labels.models import MAX_COMMENT_LENGTH, Assessment, Label, LabelSource
from webapp.labels.regions.shapes import MAX_POINTS, MAX_REGIONS

OPEN_LINES = 1000


class RegionSerializer(RequestSerializer):
    """A box (`x`, `y`, `width`, `height`) or a polygon (`points`) in pixels of the original image."""

    finding = f.StrictCharField(max_length=64, help_text="finding that the label has as present or uncertain")
    x = f.FloatField(required=False, min_value=0, help_text="left edge of a box")
    y = f.FloatField(required=False, min_value=0, help_text="upper edge of a box")
    width = f.FloatField(required=False, min_value=1, help_text="width of a box")
    height = f.FloatField(required=False, min_value=1, help_text="height of a box")
    points = f.ListField(
        child=f.ListField(child=f.FloatField(min_value=0), min_length=2, max_length=2),
        required=False,
        min_length=3,
        max_length=MAX_POINTS,
        help_text="corners of a polygon, each [x, y]; its edges do not cross",
    )
    suggested = f.StrictBooleanField(
        required=False, help_text="taken from the heatmap; refused in a blind label"
    )


class FindingAssessmentsField(f.DictField):
    child = f.ChoiceField(choices=Assessment.choices)


class LabelSerializer(f.Serializer):
    """One reader's label of one scan; never changed, a later one may supersede it."""

    id = f.IdField()
    scan = f.UUIDField(source="scan_id", help_text="ID of the scan")
    reader = f.UUIDOrNullField(
        "reader_id", "ID of the user who gave or imported it; null for others' labels of an undecided case"
    )
    signed_as = f.CharField(
        help_text="the reader's name at the time; of an import, as the file states it; empty with `reader`"
    )
    source = f.ChoiceField(LabelSource.choices, help_text="how the label was made")
    queue = f.UUIDOrNullField("queue_id", "ID of the label queue; null if none")
    findings = FindingAssessmentsField(help_text="statement by finding; others were not asked")
    confidence = f.IntegerField(allow_null=True, help_text="1 low, 2 medium, 3 high; null if not stated")
    regions = RegionSerializer(many=True, help_text="boxes and polygons around findings")
    comment = f.CharField(help_text="free text; may be empty")
    indeterminate = f.BooleanField(help_text="every finding counts as uncertain")
    unusable = f.BooleanField(help_text="unusable: findings count as uncertain")
    blind = f.BooleanField(help_text="given before the model's result was shown")
    reason = f.CharField(help_text="reason of an adjudication; else empty")
    created_at = f.CreatedAtField(help_text="when it was given or imported")
    supersedes = f.UUIDOrNullField("supersedes_id", "ID of the label it replaces")
    superseded_by = f.UUIDOrNullField("superseded_by.pk", "ID of the label that replaced it; null if current")

    def to_representation(self, label: Label) -> dict[str, Any]:
        shown = super().to_representation(label)
        return shown | {"reader": None, "signed_as": ""} if getattr(label, "hides_reader", False) else shown


class LabelStatementSerializer(RequestSerializer):
    """What a label states."""

    findings = FindingAssessmentsField(help_text=f"statement by finding, at most {MAX_LABEL_FINDINGS}")
    confidence = f.StrictIntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=3,
        default=None,
        help_text="1 low, 2 medium, 3 high; null if not stated",
    )
    regions = RegionSerializer(
        many=True,
        required=False,
        default=list,
        max_length=MAX_REGIONS,
        help_text="boxes and polygons around findings",
    )
    comment = f.StrictCharField(
        max_length=MAX_COMMENT_LENGTH, allow_blank=True, default="", help_text="free text"
    )
    indeterminate = f.StrictBooleanField(default=False, help_text="every finding counts as uncertain")
    unusable = f.StrictBooleanField(default=False, help_text="unusable: findings count as uncertain")
    after = f.SupersededField("ID of the current label or decision, which this one supersedes; null if none")


class LabelCreateSerializer(LabelStatementSerializer):
    scan = f.UUIDField(help_text="ID of the scan")
    blind = f.StrictBooleanField(
        default=False, help_text="whether the reader had seen no result; void after a signed reading"
    )


class DecisionCreateSerializer(LabelStatementSerializer):
    reason = f.ReasonField("why; kept with the decision")


def statement_of(fields: dict[str, Any]) -> LabelContent:
    names = ("findings", "confidence", "regions", "comment", "indeterminate", "unusable")
    return LabelContent(**{name: fields[name] for name in names})


class ScanLabelsSerializer(f.Serializer):
    """The labels of one scan, newest first, with the ground truth that follows from them."""

    ground_truth = f.DictField(
        child=f.ChoiceField(["present", "absent"], allow_null=True),
        allow_null=True,
        help_text="by finding, null where unknown; null as a whole while a queue may still ask the caller",
    )
    next = f.CharField(allow_null=True, help_text="always null: there is one page")
    previous = f.CharField(allow_null=True, help_text="always null: there is one page")
    count = f.IntegerField(help_text="number of labels that the caller may see")
    results = LabelSerializer(many=True, help_text="the labels")


class LabelImportSerializer(RequestSerializer):
    file = f.UploadedFileField(help_text="CSV, as spreadsheets save it")
    dry_run = f.FormBooleanField(default=False, help_text="only report what the import would do")


class ManifestImportSerializer(LabelImportSerializer, TableReadingSerializer):
    name = f.StrictCharField(
        max_length=100, required=False, default="", allow_blank=True, help_text="empty: the file's name"
    )
    day_zero = f.DateField(required=False, help_text="calendar date of day 0 of `offset_days`")


class ImportReportSerializer(f.Serializer):
    """What an import did or would do; with an invalid line nothing is imported."""

    dry_run = f.SerializerMethodField(help_text="whether this is only a report: nothing was imported")
    counts = f.DictField(child=f.IntegerField(), help_text="lines by outcome, such as `new` or `known`")
    error_count = f.IntegerField(help_text="number of invalid lines")
    lines = InvalidLineSerializer(source="errors", many=True, help_text="the first 200 invalid lines")

    def get_dry_run(self, report: Any) -> bool:
        return self.context["dry_run"]


class ManifestSerializer(f.Serializer):
    """Imported labelled data, with its `progress`."""

    id = f.IdField()
    name = f.CharField(help_text="name; its labels are signed with it")
    sha256 = f.CharField(help_text="SHA-256 of the file")
    findings = f.ListField(child=f.CharField(), help_text="every finding that a line names")
    created_at = f.CreatedAtField(help_text="when it was imported")
    lines = f.DictField(
        source="progress",
        child=f.IntegerField(),
        help_text="by status: `waiting` (`missing`: without an image), `labelled`, `no_finding`, `failed`",
    )


class ProblemLineSerializer(f.Serializer):
    line = f.IntegerField(source="number", help_text="line in the file; the header is line 1")
    status = f.CharField(help_text="`failed`, or `waiting` for its image")
    problem = f.TextOrNullField(help_text="code of what is wrong, such as `no_image`; null if it only waits")


class ManifestDetailSerializer(ManifestSerializer):
    open_lines = ProblemLineSerializer(
        many=True, help_text=f"first {OPEN_LINES:,} lines that failed or wait for an image"
    )


class LineImageSerializer(RequestSerializer):
    line = f.IntegerField(min_value=2, help_text="line in the manifest's file; the header is line 1")
    file = f.UploadedFileField(help_text="the image of the line")


class LineUploadSerializer(f.Serializer):
    upload = f.UUIDField(source="pk", help_text="ID of the upload, and of the scan it becomes")
    status = f.CharField(help_text="processing status of the upload")
