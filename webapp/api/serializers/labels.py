"""Labels, queues, cases and manifests as the API tells and takes them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from classifier.contract import Slot
from webapp.api.fields import Bytes, FormTruth, Key, Moment, Text, Truth, Whole
from webapp.labels.agreement import Kappa
from webapp.labels.annotation import MAX_LABEL_FINDINGS, MAX_REGIONS, LabelContent
from webapp.labels.import_export import ImportReport
from webapp.labels.models import (
    MAX_COMMENT_LENGTH,
    MAX_READERS,
    Assessment,
    ItemStatus,
    Label,
    LabelQueue,
    LabelSource,
    Manifest,
    QueueItem,
    QueueOrder,
)
from webapp.labels.queue_progress import Agreement, ReaderProgress
from webapp.labels.queues import FINDING, MAX_FINDINGS, MAX_SCANS

SLOTS = [(slot.value, slot.value) for slot in Slot]
SCANS_NAMED = 1000


class RegionSerializer(serializers.Serializer):
    """A box in pixels of the original image, from its upper left corner."""

    finding = Text(max_length=64)
    x = serializers.FloatField(min_value=0)
    y = serializers.FloatField(min_value=0)
    width = serializers.FloatField(min_value=1)
    height = serializers.FloatField(min_value=1)


class Words(serializers.DictField):
    """Findings and what is said of each."""

    child = serializers.ChoiceField(choices=Assessment.choices)


class LabelSerializer(serializers.Serializer):
    """One reader's word on one scan; never changed, a later one may supersede it."""

    id = serializers.UUIDField()
    scan = serializers.UUIDField()
    reader = serializers.UUIDField(help_text="who gave it, or brought it in")
    signed_as = serializers.CharField()
    source = serializers.ChoiceField(choices=LabelSource.choices)
    queue = serializers.UUIDField(allow_null=True)
    findings = Words()
    confidence = serializers.IntegerField(allow_null=True, help_text="1 low, 2 medium, 3 high")
    regions = RegionSerializer(many=True)
    comment = serializers.CharField()
    indeterminate = serializers.BooleanField()
    unusable = serializers.BooleanField()
    blind = serializers.BooleanField(help_text="given before the model's answer was shown")
    reason = serializers.CharField(help_text="why an adjudication decided so; else empty")
    created_at = serializers.DateTimeField()
    supersedes = serializers.UUIDField(allow_null=True)
    superseded_by = serializers.UUIDField(allow_null=True)


def label_answer(label: Label) -> dict[str, Any]:
    later = getattr(label, "superseded_by", None)
    same = ("findings", "confidence", "regions", "comment", "indeterminate", "unusable", "blind", "reason")
    return {
        "id": label.pk,
        "scan": label.scan_id,
        "reader": label.reader_id,
        "signed_as": label.signed_as,
        "source": label.source,
        "queue": label.queue_id,
        **{name: getattr(label, name) for name in same},
        "created_at": label.created_at,
        "supersedes": label.supersedes_id,
        "superseded_by": later.pk if later else None,
    }


class SaySerializer(serializers.Serializer):
    """What a label states. `after` names the own label that this supersedes; without one it is left out."""

    findings = Words(help_text=f"what is said of each finding, at most {MAX_LABEL_FINDINGS}")
    confidence = Whole(required=False, allow_null=True, min_value=1, max_value=3, default=None)
    regions = RegionSerializer(many=True, required=False, default=list, max_length=MAX_REGIONS)
    comment = Text(max_length=MAX_COMMENT_LENGTH, allow_blank=True, default="")
    indeterminate = Truth(default=False)
    unusable = Truth(default=False)
    after = Key(required=False, allow_null=True, default=None)


class LabelCreateSerializer(SaySerializer):
    """A label outside of any queue; `blind`: the caller's word that no answer was seen before."""

    scan = Key()
    blind = Truth(default=False)


class DecideSerializer(SaySerializer):
    reason = Text(max_length=500)


def said_of(fields: dict[str, Any]) -> LabelContent:
    names = ("findings", "confidence", "regions", "comment", "indeterminate", "unusable")
    return LabelContent(**{name: fields[name] for name in names})


class ScanLabelsSerializer(serializers.Serializer):
    """`reference`: what is taken for true of each finding, null where that is unknown.

    The whole is null as long as a queue may still ask the caller for this scan.
    """

    reference = serializers.DictField(
        child=serializers.ChoiceField(choices=["present", "absent"], allow_null=True), allow_null=True
    )
    results = LabelSerializer(many=True)


class QueueSerializer(serializers.Serializer):
    """`images` by how they stand; `left`: how many the caller could be asked now."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    findings = serializers.ListField(child=serializers.CharField())
    order = serializers.ChoiceField(choices=QueueOrder.choices)
    readers = serializers.IntegerField(help_text="how many people label each image")
    contents = serializers.DictField(help_text="what was asked for when the images were chosen")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    images = serializers.DictField(child=serializers.IntegerField())


def queue_answer(queue: LabelQueue) -> dict[str, Any]:
    return {
        "id": queue.pk,
        "name": queue.name,
        "findings": queue.findings,
        "order": queue.order,
        "readers": queue.readers,
        "contents": queue.contents,
        "created_by": queue.created_by.get_username(),
        "created_at": queue.created_at,
        "closed_at": queue.closed_at,
        "images": {"all": queue.images, **{word: getattr(queue, word) for word in ItemStatus.values}},
    }


class ReaderProgressSerializer(serializers.Serializer):
    reader = serializers.UUIDField()
    name = serializers.CharField()
    labelled = serializers.IntegerField()
    changed = serializers.IntegerField(
        help_text="how many of them they changed after the model's answer was shown"
    )
    latest_at = serializers.DateTimeField()


class QueueProgressSerializer(QueueSerializer):
    left = serializers.IntegerField(help_text="images that the caller could be asked now")
    progress = ReaderProgressSerializer(many=True)


def reader_answer(one: ReaderProgress) -> dict[str, Any]:
    return {
        "reader": one.reader.pk,
        "name": one.reader.get_username(),
        "labelled": one.labelled,
        "changed": one.changed,
        "latest_at": one.latest,
    }


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "pattern": f"^{FINDING.pattern}$", "maxLength": 64},
        "minItems": 1,
        "maxItems": MAX_FINDINGS,
        "uniqueItems": True,
    }
)
class AskedFindings(serializers.ListField):
    """Checked by `labels.queues`, which says what a finding looks like."""

    child = Text(max_length=64)


class QueueCreateSerializer(serializers.Serializer):
    """`scans` names the images; without it they are chosen by the rest."""

    name = Text(max_length=100)
    findings = AskedFindings(min_length=1, max_length=MAX_FINDINGS)
    order = serializers.ChoiceField(choices=QueueOrder.choices, default=QueueOrder.RANDOM.value)
    readers = Whole(min_value=1, max_value=MAX_READERS, default=1)
    at_most = Whole(min_value=1, max_value=MAX_SCANS, default=100)
    slot = serializers.ChoiceField(choices=SLOTS, default=Slot.CXR.value)
    unlabelled = Truth(default=True, help_text="only what nobody has labelled")
    received_after = Moment(required=False, allow_null=True, default=None)
    received_before = Moment(required=False, allow_null=True, default=None)
    scans = serializers.ListField(
        child=Key(), required=False, allow_null=True, default=None, min_length=1, max_length=SCANS_NAMED
    )


class KappaSerializer(serializers.Serializer):
    """Null where everybody said the same of everything, or nothing is complete yet."""

    kappa = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(
        allow_null=True, help_text="lower end of the 95 % interval; null: no kappa, or too few images"
    )
    high = serializers.FloatField(allow_null=True)
    observed = serializers.FloatField(
        allow_null=True, help_text="share of the same answer, 0 to 1; null: nothing to compare"
    )
    images = serializers.IntegerField()


def kappa_answer(kappa: Kappa) -> dict[str, Any]:
    return {
        "kappa": kappa.value,
        "low": kappa.low,
        "high": kappa.high,
        "observed": kappa.observed,
        "images": kappa.images,
    }


class PairSerializer(KappaSerializer):
    readers = serializers.ListField(child=serializers.UUIDField(), min_length=2, max_length=2)


class AgreementSerializer(serializers.Serializer):
    """`overall`: Cohen's kappa where two readers read everything, else Fleiss'; `pairs`: Cohen's."""

    finding = serializers.CharField()
    overall = KappaSerializer()
    pairs = PairSerializer(many=True)


def agreement_answer(one: Agreement) -> dict[str, Any]:
    pairs = [kappa_answer(kappa) | {"readers": [a.pk, b.pk]} for a, b, kappa in one.pairs]
    return {"finding": one.finding, "overall": kappa_answer(one.overall), "pairs": pairs}


class ItemSerializer(serializers.Serializer):
    """An image of a queue. It has an id of its own, so that it can be labelled without knowing the scan."""

    id = serializers.UUIDField()
    queue = serializers.UUIDField()
    position = serializers.IntegerField()
    status = serializers.ChoiceField(choices=ItemStatus.choices)
    findings = serializers.ListField(child=serializers.CharField())
    rows = serializers.IntegerField()
    columns = serializers.IntegerField()


def item_answer(item: QueueItem) -> dict[str, Any]:
    return {
        "id": item.pk,
        "queue": item.queue_id,
        "position": item.position,
        "status": item.status,
        "findings": item.queue.findings,
        "rows": item.scan.rows,
        "columns": item.scan.columns,
    }


class ShownAnswerSerializer(serializers.Serializer):
    """What a model says; probabilities are null where they are withheld."""

    analysis = serializers.UUIDField()
    model = serializers.CharField()
    finding = serializers.CharField(allow_null=True)
    abstention = serializers.CharField(allow_null=True)
    probabilities = serializers.DictField(child=serializers.FloatField(), allow_null=True)


class CaseSerializer(ItemSerializer):
    """`label` is the caller's own; scan and answer are null until they have committed one."""

    label = LabelSerializer(allow_null=True)
    scan = serializers.UUIDField(allow_null=True)
    answer = ShownAnswerSerializer(allow_null=True)


class DecisionSerializer(ItemSerializer):
    scan = serializers.UUIDField()
    labels = LabelSerializer(many=True)
    decision = LabelSerializer(allow_null=True)


class TableSerializer(serializers.Serializer):
    file = Bytes(help_text="CSV, UTF-8")
    dry_run = FormTruth(default=False, help_text="only tell what would come of it")


class ManifestTableSerializer(TableSerializer):
    name = Text(max_length=100, required=False, default="", allow_blank=True)
    day_zero = serializers.DateField(
        required=False, help_text="the study date that `offset_days` 0 in the table stands for"
    )


class WrongLineSerializer(serializers.Serializer):
    line = serializers.IntegerField()
    detail = serializers.CharField()


class ReportSerializer(serializers.Serializer):
    """`counts`: lines by outcome. One invalid line stops the import; `lines` lists the first 200."""

    dry_run = serializers.BooleanField()
    counts = serializers.DictField(child=serializers.IntegerField())
    error_count = serializers.IntegerField()
    lines = WrongLineSerializer(many=True)


def report_answer(report: ImportReport, *, dry_run: bool) -> dict[str, Any]:
    lines = [{"line": number, "detail": words} for number, words in report.errors]
    return {
        "dry_run": dry_run,
        "counts": dict(report.counts),
        "error_count": report.error_count,
        "lines": lines,
    }


class ManifestSerializer(serializers.Serializer):
    """`lines` by status; `missing` of those that wait have no image yet."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    sha256 = serializers.CharField()
    findings = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    lines = serializers.DictField(child=serializers.IntegerField())


def manifest_answer(manifest: Manifest, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "id": manifest.pk,
        "name": manifest.name,
        "sha256": manifest.sha256,
        "findings": manifest.findings,
        "created_at": manifest.created_at,
        "lines": counts,
    }


class ProblemLineSerializer(serializers.Serializer):
    line = serializers.IntegerField()
    status = serializers.CharField()
    problem = serializers.CharField(allow_null=True)


class ManifestDetailSerializer(ManifestSerializer):
    """`open_lines`: those that are wrong or wait for their image, the first thousand."""

    open_lines = ProblemLineSerializer(many=True)


class LineImageSerializer(serializers.Serializer):
    line = serializers.IntegerField(min_value=2, help_text="of the manifest's file; its heading is line 1")
    file = Bytes()


class LineUploadSerializer(serializers.Serializer):
    upload = serializers.UUIDField()
    status = serializers.CharField()
