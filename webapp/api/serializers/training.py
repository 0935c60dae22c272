"""Snapshots, schedules, comparisons and the gate's policy, as the API tells and takes them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from webapp.analysis.shadow import Agreement
from webapp.api.fields import Bytes, Key, Text, TimeOfDay, Truth, Whole
from webapp.api.serializers.models import SLOTS, Options
from webapp.registry.models import Comparison, ComparisonStatus, PromotionPolicy
from webapp.registry.promotion_gate import PolicyRules
from webapp.registry.selectors import GateStatus
from webapp.training.models import Cadence, Snapshot, Start, TrainingSchedule, ValidationStatus


class WarningSerializer(serializers.Serializer):
    severity = serializers.ChoiceField(choices=["high", "medium", "low"])
    code = serializers.CharField()
    text = serializers.CharField()
    advice = serializers.CharField()
    numbers = serializers.DictField()


class SnapshotSerializer(serializers.Serializer):
    """`warnings` are the data of data validation; null until it has finished."""

    id = serializers.UUIDField()
    site = serializers.UUIDField(allow_null=True, help_text="null: of all sites")
    slot = serializers.ChoiceField(choices=SLOTS)
    fingerprint = serializers.CharField(help_text="sha256 of the manifest")
    findings = serializers.ListField(child=serializers.CharField())
    counts = serializers.DictField(help_text="images and patients, by part and finding; what was left out")
    validation = serializers.ChoiceField(choices=ValidationStatus.choices)
    warnings = WarningSerializer(many=True, allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


def snapshot_answer(snapshot: Snapshot) -> dict[str, Any]:
    validation = snapshot.validation
    return {
        "id": snapshot.pk,
        "site": snapshot.site_id,
        "slot": snapshot.slot,
        "fingerprint": snapshot.fingerprint,
        "findings": snapshot.findings,
        "counts": snapshot.counts,
        "validation": validation.status,
        "warnings": validation.warnings if validation.status == ValidationStatus.DONE else None,
        "created_by": snapshot.created_by.get_username(),
        "created_at": snapshot.created_at,
    }


class SnapshotStartSerializer(serializers.Serializer):
    slot = serializers.ChoiceField(choices=SLOTS, default="cxr")


class ScheduleSerializer(serializers.Serializer):
    """`weekday` 0 is Monday; `at` is in the site's time zone; `next_at` is when the clock strikes next."""

    id = serializers.UUIDField()
    site = serializers.UUIDField(allow_null=True)
    slot = serializers.ChoiceField(choices=SLOTS)
    enabled = serializers.BooleanField()
    cadence = serializers.ChoiceField(choices=Cadence.choices)
    weekday = serializers.IntegerField()
    day = serializers.IntegerField()
    at = TimeOfDay()
    next_at = serializers.DateTimeField(allow_null=True)
    new_labels = serializers.IntegerField(allow_null=True)
    on_drift = serializers.BooleanField()
    start = serializers.ChoiceField(choices=Start.choices)
    config = serializers.DictField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


def schedule_answer(schedule: TrainingSchedule) -> dict[str, Any]:
    names = (
        "slot", "enabled", "cadence", "weekday", "day", "at", "next_at", "new_labels", "on_drift", "start",
        "config", "created_at",
    )  # fmt: skip
    said = {name: getattr(schedule, name) for name in names}
    return {
        "id": schedule.pk,
        "site": schedule.site_id,
        **said,
        "created_by": schedule.created_by.get_username(),
    }


class ScheduleWriteSerializer(serializers.Serializer):
    """What is left out keeps its value, or its default."""

    slot = serializers.ChoiceField(choices=SLOTS, default="cxr")
    enabled = Truth(required=False)
    cadence = serializers.ChoiceField(choices=Cadence.choices, required=False)
    weekday = Whole(min_value=0, max_value=6, required=False)
    day = Whole(min_value=1, max_value=28, required=False)
    at = TimeOfDay(required=False)
    new_labels = Whole(min_value=1, max_value=1_000_000, required=False, allow_null=True)
    on_drift = Truth(required=False)
    start = serializers.ChoiceField(choices=Start.choices, required=False)
    config = Options(required=False)


class ComparisonSerializer(serializers.Serializer):
    """`passed` null: not judged yet. `report` holds every measure of both models with its interval."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=ComparisonStatus.choices)
    candidate = serializers.UUIDField()
    active = serializers.UUIDField(allow_null=True)
    fingerprint = serializers.CharField(help_text="of the snapshot whose test part it is")
    passed = serializers.BooleanField(allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField())
    notes = serializers.ListField(child=serializers.CharField())
    policy_number = serializers.IntegerField(allow_null=True)
    policy = serializers.DictField()
    error = serializers.CharField(allow_null=True)
    requested_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


def comparison_answer(row: Comparison) -> dict[str, Any]:
    return {
        "id": row.pk,
        "status": row.status,
        "candidate": row.candidate_id,
        "active": row.active_id,
        "fingerprint": row.fingerprint,
        "passed": row.passed,
        "reasons": row.reasons,
        "notes": row.notes,
        "policy_number": row.policy_number,
        "policy": row.policy,
        "error": row.error_code or None,
        "requested_by": row.requested_by.get_username() if row.requested_by else None,
        "created_at": row.created_at,
    }


class ChangeSideSerializer(serializers.Serializer):
    finding = serializers.CharField(allow_null=True)
    withheld = serializers.BooleanField()
    p = serializers.FloatField(allow_null=True)


class ChangeSerializer(serializers.Serializer):
    """`scan` null: at a site that the caller does not see. `before` is the active model's answer."""

    scan = serializers.UUIDField(allow_null=True)
    truth = serializers.ListField(child=serializers.CharField())
    before = ChangeSideSerializer()
    after = ChangeSideSerializer()


class ComparisonDetailSerializer(ComparisonSerializer):
    report = serializers.DictField()
    changes = ChangeSerializer(many=True)


class CompareSerializer(serializers.Serializer):
    snapshot = Key()


class ShadowAgreementSerializer(serializers.Serializer):
    """`reported`: by finding ("" for none), counts of the candidate's and the active model's reports."""

    shadow = serializers.BooleanField()
    scored = serializers.IntegerField()
    failed = serializers.IntegerField()
    compared = serializers.IntegerField()
    same = serializers.IntegerField()
    kappa = serializers.FloatField(allow_null=True)
    withheld = serializers.ListField(child=serializers.IntegerField())
    reported = serializers.DictField(child=serializers.ListField(child=serializers.IntegerField()))
    difference = serializers.DictField(child=serializers.FloatField())


def agreement_answer(shadow: bool, told: Agreement) -> dict[str, Any]:
    return {
        "shadow": shadow,
        **{name: getattr(told, name) for name in ShadowAgreementSerializer().fields if name != "shadow"},
    }


class ShadowSerializer(serializers.Serializer):
    on = Truth()


class PromoteSerializer(serializers.Serializer):
    """`override`: against the gate, or without its word; the scope `model.override` is needed then."""

    reason = Text(max_length=500)
    override = Truth(default=False)


class RollbackSerializer(serializers.Serializer):
    reason = Text(max_length=500, required=False, default="")


class StandingSerializer(serializers.Serializer):
    """How a version stands with the gate beside the model that is active now."""

    standing = serializers.ChoiceField(choices=[one.value for one in GateStatus])
    comparison = ComparisonSerializer(allow_null=True)


def _schema_of_rules() -> dict[str, Any]:
    def rule(one: Any) -> dict[str, Any]:
        low, high = one.metadata["low"], one.metadata["high"]
        kind = "integer" if isinstance(one.default, int) else "number"
        return {"type": kind, "minimum": low, "maximum": high, "description": one.metadata["help"]}

    rules = {one.name: rule(one) for one in fields(PolicyRules)}
    return {"type": "object", "properties": rules, "additionalProperties": False}


@extend_schema_field(_schema_of_rules())
class Rules(serializers.DictField):
    """Checked by `registry.promotion_gate.PolicyRules`."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        rules = super().to_internal_value(data)
        whole = {one.name for one in fields(PolicyRules) if isinstance(one.default, int)}
        return {
            name: int(value) if name in whole and isinstance(value, float) and value.is_integer() else value
            for name, value in rules.items()
        }


class PolicySerializer(serializers.Serializer):
    """Number 0 is the policy that comes with Hilum: nobody wrote it."""

    number = serializers.IntegerField()
    rules = Rules()
    by = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    created_at = serializers.DateTimeField(allow_null=True)


def policy_answer(row: PromotionPolicy | None) -> dict[str, Any]:
    if row is None:
        rules = PolicyRules().as_dict()
        return {"number": 0, "rules": rules, "by": None, "reason": "", "created_at": None}
    return {
        "number": row.number,
        "rules": row.rules,
        "by": row.by.get_username(),
        "reason": row.reason,
        "created_at": row.created_at,
    }


class PolicyWriteSerializer(serializers.Serializer):
    """Rules that are left out keep their value."""

    rules = Rules()
    reason = Text(max_length=500)


class LogSerializer(serializers.Serializer):
    """`curve`: the numbers of each epoch; `lines`: the last of what the training said."""

    curve = serializers.ListField(child=serializers.DictField())
    lines = serializers.ListField(child=serializers.CharField())


class ModelFileSerializer(serializers.Serializer):
    file = Bytes(help_text="a model file of python -m classifier train")
