"""Label queues and their cases."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field

from classifier.contract import Slot
from webapp.analysis.models import Analysis
from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.api.serializers.labels import LabelSerializer
from webapp.api.serializers.scans import CALIBRATION, FINDING, SLOTS
from webapp.labels.models import MAX_READERS, ItemStatus, LabelQueue, QueueOrder, SkipReason
from webapp.labels.queues import FINDING as FINDING_CODE
from webapp.labels.queues import MAX_FINDINGS, MAX_SCANS

SCANS_NAMED = 1000
NAMED_READERS = 100
NO_MATCH = "null: no such limit"


class QueueSerializer(f.Serializer):
    id = f.IdField()
    name = f.CharField(help_text="unique at the site")
    findings = f.ListField(child=f.CharField(), help_text="what is asked of each image")
    order = f.ChoiceField(QueueOrder.choices, help_text="which images come first")
    readers = f.IntegerField(help_text="readers per image")
    named = f.SerializerMethodField(help_text="IDs of the users who label it; empty: whoever may label")
    contents = f.DictField(help_text="how the images were selected")
    created_by = f.CharField(source="created_by.username", help_text="user name of the creator")
    created_at = f.CreatedAtField()
    closed_at = f.DateTimeField(allow_null=True, help_text="null while the queue is open")
    images = f.SerializerMethodField(help_text="number of images: `all`, and by status")

    @extend_schema_field({"type": "array", "items": {"type": "string", "format": "uuid"}})
    def get_named(self, queue: LabelQueue) -> list[str]:
        return [str(person.pk) for person in queue.named.all()]

    def get_images(self, queue: LabelQueue) -> dict[str, int]:
        return {"all": queue.images, **{status: getattr(queue, status) for status in ItemStatus.values}}


class ReaderProgressSerializer(f.Serializer):
    reader = f.UUIDField(source="reader.pk", help_text="ID of the user")
    name = f.CharField(source="reader.username", help_text="user name")
    labelled = f.IntegerField(help_text="number of images labelled")
    changed = f.IntegerField(help_text="number of those changed after the result was shown")
    latest_at = f.DateTimeField(source="latest", help_text="when the latest label was given")


class QueueProgressSerializer(QueueSerializer):
    left = f.IntegerField(help_text="number of images that the caller could be asked now")
    progress = ReaderProgressSerializer(many=True, help_text="of each reader, the most labels first")


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "pattern": f"^{FINDING_CODE.pattern}$", "maxLength": 64},
        "minItems": 1,
        "maxItems": MAX_FINDINGS,
        "uniqueItems": True,
    }
)
class FindingCodesField(f.ListField):
    """Checked by `labels.queues`, which knows what a code looks like."""

    child = f.StrictCharField(max_length=64)


class QueueCreateSerializer(RequestSerializer):
    name = f.StrictCharField(max_length=100, help_text="unique at the site")
    findings = FindingCodesField(
        min_length=1, max_length=MAX_FINDINGS, help_text="what to ask of each image, such as `pneumonia`"
    )
    order = f.ChoiceField(
        QueueOrder.choices, default=QueueOrder.RANDOM.value, help_text="which images come first"
    )
    readers = f.StrictIntegerField(
        min_value=1, max_value=MAX_READERS, default=1, help_text="readers per image"
    )
    named = f.ListField(
        child=f.UUIDField(),
        required=False,
        default=list,
        max_length=NAMED_READERS,
        help_text="IDs of the users who label it, at least as many as `readers`; empty: whoever may label",
    )
    at_most = f.StrictIntegerField(min_value=1, max_value=MAX_SCANS, default=100, help_text="limit of images")
    slot = f.ChoiceField(SLOTS, default=Slot.CXR.value, help_text="kind of image")
    unlabelled = f.StrictBooleanField(default=True, help_text="only images without a label")
    received_after = f.StrictDateTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text=f"only images uploaded then or later; {NO_MATCH}",
    )
    received_before = f.StrictDateTimeField(
        required=False, allow_null=True, default=None, help_text=f"only images uploaded before; {NO_MATCH}"
    )
    scans = f.ListField(
        child=f.UUIDField(),
        required=False,
        allow_null=True,
        default=None,
        min_length=1,
        max_length=SCANS_NAMED,
        help_text="IDs of the scans; null: selected by the other fields",
    )


class KappaSerializer(f.Serializer):
    kappa = f.FloatField(
        source="value", allow_null=True, help_text="1: perfect agreement, 0: chance; null if undefined"
    )
    low = f.FloatField(
        allow_null=True, help_text="lower end of the 95 % interval; null: too few images, or no kappa"
    )
    high = f.FloatField(allow_null=True, help_text="upper end of the 95 % interval; null as `low`")
    observed = f.FloatField(allow_null=True, help_text="observed agreement, 0 to 1; null: nothing to compare")
    images = f.IntegerField(help_text="number of images")


class ReaderPairSerializer(KappaSerializer):
    readers = f.ListField(child=f.UUIDField(), min_length=2, max_length=2, help_text="IDs of the two users")


class AgreementSerializer(f.Serializer):
    """Agreement of the readers on one finding, from blind labels."""

    finding = f.CharField(help_text="the finding")
    overall = KappaSerializer(help_text="all readers: Cohen's kappa of two, Fleiss' of more")
    pairs = f.SerializerMethodField(help_text="Cohen's kappa of each pair of readers")

    @extend_schema_field(ReaderPairSerializer(many=True))
    def get_pairs(self, agreement: Any) -> Any:
        return [
            KappaSerializer(kappa).data | {"readers": [str(one.pk), str(other.pk)]}
            for one, other, kappa in agreement.pairs
        ]


class CaseRowSerializer(f.Serializer):
    """An image of a queue. Its own ID allows labelling it without knowing the scan."""

    id = f.IdField(help_text="ID of the case, not of the scan")
    queue = f.UUIDField(source="queue_id", help_text="ID of the label queue")
    position = f.IntegerField(help_text="position in the queue, from 1")
    status = f.ChoiceField(
        ItemStatus.choices,
        help_text="`waiting` for readers, then `agreed` or `disputed`; `settled` by a decision",
    )
    findings = f.ListField(
        source="queue.findings", child=f.CharField(), help_text="findings asked of the image"
    )
    rows = f.IntegerField(source="scan.rows", help_text="height of the original in pixels")
    columns = f.IntegerField(source="scan.columns", help_text="width of the original in pixels")


class ShownResultSerializer(f.Serializer):
    """A model's result, as shown after a blind label."""

    analysis = f.UUIDField(source="pk", help_text="ID of the analysis")
    model = f.CharField(source="model_version", help_text="model version, such as `cxr-3`")
    calibration = f.CharField(source="calibration_name", help_text=CALIBRATION)
    finding = f.TextOrNullField(help_text=FINDING)
    abstention = f.TextOrNullField(help_text="code of the abstention, such as `lateral_view`; null if none")
    probabilities = f.SerializerMethodField(help_text="0 to 1 by finding; null if withheld")

    def get_probabilities(self, analysis: Analysis) -> dict[str, float] | None:
        return None if analysis.withheld else analysis.probabilities


class CaseSkipSerializer(RequestSerializer):
    reason = f.ChoiceField(SkipReason.choices, help_text="why the caller does not label it")
    text = f.StrictCharField(
        max_length=200, allow_blank=True, default="", help_text="description; required for `other`"
    )


class CaseSerializer(CaseRowSerializer):
    """Scan and result are null until the caller has labelled the case."""

    label = LabelSerializer(source="own", allow_null=True, help_text="the caller's label; null if none")
    # Not `scan.pk`: which scan it is stays hidden until then.
    scan = f.UUIDOrNullField("own.scan_id", "ID of the scan")
    result = ShownResultSerializer(allow_null=True, help_text="the model's result; null if none")


class DecisionSerializer(CaseRowSerializer):
    scan = f.UUIDField(source="scan_id", help_text="ID of the scan")
    labels = LabelSerializer(many=True, help_text="the readers' labels, in the order they were given")
    decision = LabelSerializer(allow_null=True, help_text="the current decision; null if none")
