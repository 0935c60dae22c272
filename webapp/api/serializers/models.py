"""Model versions, promotions, comparisons, the promotion policy and shadow mode."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from drf_spectacular.utils import extend_schema_field

from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.api.serializers.scans import SLOTS
from webapp.core.jobs.table import JobStatus
from webapp.registry.models import Comparison, ModelStatus, ModelVersion
from webapp.registry.promotion_gate import Outcome, PolicyRules, scan_in
from webapp.registry.selectors import PromotionStatus
from webapp.registry.services import may_promote

SITE = "ID of the site that owns it; null: all sites"
OUTCOMES = [(one.value, one.value) for one in Outcome]


class ModelVersionSerializer(f.Serializer):
    id = f.IdField()
    name = f.CharField(source="*", help_text="slot and number, such as `cxr-3`")
    title = f.CharField(source="name", help_text="the name that its maker gave it")
    slot = f.ChoiceField(SLOTS, help_text="kind of image it is for")
    number = f.IntegerField(help_text="number among the versions of its slot, from 1")
    status = f.ChoiceField(ModelStatus.choices, help_text="the `active` version of a slot analyses new scans")
    sha256 = f.CharField(help_text="SHA-256 of the model file")
    size = f.IntegerField(help_text="size in bytes")
    findings = f.ListField(
        source="read_spec.findings", child=f.CharField(), help_text="in order of the outputs"
    )
    thresholds = f.SerializerMethodField(help_text="probability from which a finding is reported")
    calibrated = f.BooleanField(
        source="read_spec.calibrated", help_text="whether probabilities are calibrated on validation data"
    )
    shipped = f.BooleanField(help_text="whether it came with Hilum")
    shadow = f.BooleanField(help_text="shadow mode: it scores new scans, which no reader sees")
    site = f.UUIDOrNullField("site_id", SITE)
    registered_by = f.CharField(
        source="registered_by.username", allow_null=True, help_text="user name; null: the installation"
    )
    created_at = f.CreatedAtField(help_text="when it was registered")

    def to_representation(self, version: ModelVersion) -> dict[str, Any]:
        version.read_spec = version.model_spec  # parsed once for three fields
        return super().to_representation(version)

    def get_thresholds(self, version: ModelVersion) -> dict[str, float]:
        return {finding: version.read_spec.threshold(finding) for finding in version.read_spec.findings}


class PromotionSerializer(f.Serializer):
    id = f.IdField()
    model = f.UUIDField(source="model_version_id", help_text="ID of the version that became active")
    previous = f.UUIDOrNullField("previous_id", "ID of the version active before; null if none")
    by = f.CharField(source="by.username", allow_null=True, help_text="user name; null: the installation")
    reason = f.CharField(help_text="why")
    comparison = f.UUIDOrNullField("comparison_id", "ID of the comparison it was based on; null if none")
    overridden = f.BooleanField(help_text="whether the promotion gate was overridden")
    created_at = f.CreatedAtField(help_text="when it became active")


class ModelDetailSerializer(ModelVersionSerializer):
    spec = f.DictField(help_text="preprocessing, findings, thresholds and all else that inference needs")
    card = f.DictField(help_text="model card: data, measures, limits")
    promotions = PromotionSerializer(many=True, help_text="each time it became active, newest first")
    may_promote = f.SerializerMethodField(help_text="whether the caller may promote it, apart from the gate")

    def get_may_promote(self, version: ModelVersion) -> bool:
        return may_promote(self.context["user"], version)


class ModelFileSerializer(RequestSerializer):
    file = f.UploadedFileField(help_text="a model file made by python -m classifier train")


class PromoteSerializer(RequestSerializer):
    reason = f.ReasonField()
    override = f.StrictBooleanField(
        default=False,
        help_text="override the promotion gate or its missing verdict; needs the scope `model.override`",
    )


class RollbackSerializer(RequestSerializer):
    reason = f.ReasonField(required=False, default="")


class CompareSerializer(RequestSerializer):
    snapshot = f.UUIDField(help_text="ID of the snapshot on whose test set both models are compared")


class ShadowModeSerializer(RequestSerializer):
    on = f.StrictBooleanField(help_text="whether the candidate scores new scans, which no reader sees")


class ComparisonSerializer(f.Serializer):
    """A candidate compared with the active model on one test set."""

    id = f.IdField()
    status = f.ChoiceField(JobStatus.choices, help_text="processing status")
    candidate = f.UUIDField(source="candidate_id", help_text="ID of the candidate")
    active = f.UUIDOrNullField("active_id", "ID of the version active at the time; null if none")
    fingerprint = f.CharField(help_text="SHA-256 of the snapshot")
    outcome = f.ChoiceField(
        OUTCOMES,
        allow_null=True,
        help_text="of the promotion gate; `unjudged`: too few test cases; null until it is done",
    )
    reasons = f.ListField(child=f.CharField(), help_text="why it did not pass; empty if it passed")
    notes = f.ListField(child=f.CharField(), help_text="further remarks")
    policy_number = f.IntegerField(allow_null=True, help_text="promotion policy applied; 0: Hilum's own")
    policy = f.DictField(help_text="rules that were applied, by name")
    error = f.TextOrNullField(source="error_code", help_text="code of the failure; null if none")
    requested_by = f.CharField(
        source="requested_by.username", allow_null=True, help_text="user name; null: after a training run"
    )
    created_at = f.CreatedAtField(help_text="when it was requested")


class ChangedResultSerializer(f.Serializer):
    finding = f.CharField(allow_null=True, help_text="the reported finding; null if none")
    withheld = f.BooleanField(help_text="whether the model abstained")
    p = f.FloatField(allow_null=True, help_text="its probability, 0 to 1; null if none is reported")


class ComparisonChangeSerializer(f.Serializer):
    """An image whose result would change."""

    scan = f.SerializerMethodField(help_text="ID of the scan; null if the caller may not see it")
    ground_truth = f.ListField(child=f.CharField(), help_text="findings present by the snapshot")
    before = ChangedResultSerializer(source="from", help_text="result of the active model")
    after = ChangedResultSerializer(source="to", help_text="result of the candidate")

    @extend_schema_field(f.UUIDField(allow_null=True))
    def get_scan(self, change: dict[str, Any]) -> str | None:
        scan = scan_in(change["image"])
        return str(scan) if scan in self.context["visible"] else None


class ComparisonDetailSerializer(ComparisonSerializer):
    report = f.DictField(help_text="every measure of both models with its interval; empty until it is done")
    changes = ComparisonChangeSerializer(many=True, help_text="images with a changed result, at most 2,000")


class PromotionGateSerializer(f.Serializer):
    """Verdict of the promotion gate on a version, compared with the model that is active now."""

    status = f.ChoiceField(
        [one.value for one in PromotionStatus], help_text="verdict; `exempt`: none is needed"
    )
    comparison = ComparisonSerializer(allow_null=True, help_text="comparison it is based on; null if none")


class ShadowAgreementSerializer(f.Serializer):
    """Agreement of a candidate in shadow mode with the active model."""

    shadow = f.SerializerMethodField(help_text="whether the candidate scores new scans now")
    scored = f.IntegerField(help_text="scans that the candidate analysed, the latest 10,000 at most")
    failed = f.IntegerField(help_text="number of scans it could not analyse")
    compared = f.IntegerField(help_text="number of those that the active model analysed too")
    same = f.IntegerField(help_text="number of those with the same reported finding and abstention")
    kappa = f.FloatField(allow_null=True, help_text="Cohen's kappa of reported findings; null if undefined")
    withheld = f.ListField(child=f.IntegerField(), help_text="withheld results: candidate, active model")
    reported = f.DictField(
        child=f.ListField(child=f.IntegerField()),
        help_text='number of reports by finding ("": none): candidate, active model',
    )
    difference = f.DictField(
        child=f.FloatField(), help_text="mean absolute probability difference by finding"
    )

    def get_shadow(self, agreement: Any) -> bool:
        return self.context["shadow"]


def _rules_schema() -> dict[str, Any]:
    def rule(one: Any) -> dict[str, Any]:
        low, high = one.metadata["low"], one.metadata["high"]
        kind = "integer" if isinstance(one.default, int) else "number"
        return {"type": kind, "minimum": low, "maximum": high, "description": one.metadata["help"]}

    rules = {one.name: rule(one) for one in fields(PolicyRules)}
    return {"type": "object", "properties": rules, "additionalProperties": False}


@extend_schema_field(_rules_schema())
class PolicyRulesField(f.DictField):
    """Checked by the policy itself."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        rules = super().to_internal_value(data)
        whole = {one.name for one in fields(PolicyRules) if isinstance(one.default, int)}
        return {
            name: int(value) if name in whole and isinstance(value, float) and value.is_integer() else value
            for name, value in rules.items()
        }


class PolicySerializer(f.Serializer):
    """One version of the promotion policy."""

    number = f.IntegerField(help_text="the highest is active; 0: Hilum's own policy")
    rules = PolicyRulesField(help_text="limits that a candidate has to keep")
    by = f.CharField(source="by.username", allow_null=True, help_text="user name; null: Hilum's own policy")
    reason = f.CharField(help_text="why it was changed")
    created_at = f.DateTimeField(allow_null=True, help_text="when it became active; null: Hilum's own policy")

    def to_representation(self, policy: Any) -> dict[str, Any]:
        if policy is None:
            own = {"by": None, "reason": "", "created_at": None}
            return {"number": 0, "rules": PolicyRules().as_dict()} | own
        return super().to_representation(policy)


class PolicyCreateSerializer(RequestSerializer):
    rules = PolicyRulesField(help_text="limits to change; others keep their value")
    reason = f.ReasonField("why; kept with the policy")


def comparison_scans(comparison: Comparison) -> set:
    """Keys of the scans that a comparison's changes name."""
    return {scan_in(change["image"]) for change in comparison.changes} - {None}
