"""Models, promotions, training runs, the audit trail and the caller, as the API tells them."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from classifier.contract import Slot
from webapp.accounts.models import ApiToken, Membership, Site
from webapp.accounts.permissions import Permission
from webapp.api.fields import Key, Text
from webapp.audit.models import AuditEvent
from webapp.registry.models import ModelStatus, ModelVersion, Promotion
from webapp.training.models import RunStatus, Start, TrainingRun, Trigger
from webapp.training.services import MAX_SEED, OPTION_NAME

SLOTS = [slot.value for slot in Slot]


class ModelRowSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField(help_text="slot and number, as the site writes it")
    title = serializers.CharField()
    slot = serializers.ChoiceField(choices=SLOTS)
    number = serializers.IntegerField()
    status = serializers.ChoiceField(choices=ModelStatus.choices)
    sha256 = serializers.CharField()
    size = serializers.IntegerField()
    findings = serializers.ListField(child=serializers.CharField())
    thresholds = serializers.DictField(child=serializers.FloatField())
    calibrated = serializers.BooleanField()
    shipped = serializers.BooleanField()
    shadow = serializers.BooleanField(help_text="it scores new scans where no reader sees it")
    site = serializers.UUIDField(allow_null=True, help_text="null: it belongs to all")
    registered_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


def model_row(version: ModelVersion) -> dict[str, Any]:
    spec = version.model_spec
    return {
        "id": version.pk,
        "name": str(version),
        "title": version.name,
        "slot": version.slot,
        "number": version.number,
        "status": version.status,
        "sha256": version.sha256,
        "size": version.size,
        "findings": list(spec.findings),
        "thresholds": {finding: spec.threshold(finding) for finding in spec.findings},
        "calibrated": spec.calibrated,
        "shipped": version.shipped,
        "shadow": version.shadow,
        "site": version.site_id,
        "registered_by": version.registered_by.get_username() if version.registered_by else None,
        "created_at": version.created_at,
    }


class PromotionSerializer(serializers.Serializer):
    """`by` null: installation put it there. `overridden`: decided against the gate, or without its word."""

    id = serializers.UUIDField()
    model = serializers.UUIDField()
    previous = serializers.UUIDField(allow_null=True)
    by = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    comparison = serializers.UUIDField(allow_null=True)
    overridden = serializers.BooleanField()
    created_at = serializers.DateTimeField()


def promotion_answer(promotion: Promotion) -> dict[str, Any]:
    return {
        "id": promotion.pk,
        "model": promotion.model_version_id,
        "previous": promotion.previous_id,
        "by": promotion.by.get_username() if promotion.by else None,
        "reason": promotion.reason,
        "comparison": promotion.comparison_id,
        "overridden": promotion.overridden,
        "created_at": promotion.created_at,
    }


class ModelDetailSerializer(ModelRowSerializer):
    spec = serializers.DictField(help_text="everything that reading an image with it needs besides weights")
    card = serializers.DictField(help_text="the model card: data, measures, limits")
    promotions = PromotionSerializer(many=True)
    may_promote = serializers.BooleanField()


class RunSerializer(serializers.Serializer):
    """`base`: the version whose weights it started from. `options`: all that was used, defaults included."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=RunStatus.choices)
    site = serializers.UUIDField(allow_null=True)
    started_by = serializers.CharField()
    trigger = serializers.ChoiceField(choices=Trigger.choices)
    slot = serializers.ChoiceField(choices=SLOTS)
    snapshot = serializers.UUIDField(allow_null=True)
    start = serializers.ChoiceField(choices=Start.choices)
    base = serializers.UUIDField(allow_null=True)
    attempts = serializers.IntegerField()
    minutes_left = serializers.FloatField(allow_null=True)
    options = serializers.DictField()
    config = serializers.DictField()
    seed = serializers.IntegerField()
    percent = serializers.IntegerField()
    progress = serializers.DictField()
    candidate = serializers.UUIDField(allow_null=True)
    cancel_requested = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True)
    detail = serializers.CharField(allow_null=True)
    remedy = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


def run_answer(run: TrainingRun) -> dict[str, Any]:
    failure = run.failure
    return {
        "id": run.pk,
        "status": run.status,
        "site": run.site_id,
        "started_by": run.started_by.get_username(),
        "trigger": run.trigger,
        "slot": run.slot,
        "snapshot": run.snapshot_id,
        "start": run.start,
        "base": run.base_id,
        "attempts": run.attempts,
        "minutes_left": run.minutes_left,
        "options": run.options,
        "config": run.config,
        "seed": run.seed,
        "percent": run.percent,
        "progress": run.progress,
        "candidate": run.candidate_id,
        "cancel_requested": run.cancel_requested,
        "reason": failure.code if failure else None,
        "detail": failure.message if failure else None,
        "remedy": failure.remedy if failure else None,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
    }


PLAIN = {"anyOf": [{"type": "boolean"}, {"type": "number"}, {"type": "string", "pattern": "^[ -~]{0,500}$"}]}


@extend_schema_field(
    {
        "type": "object",
        "properties": {"seed": {"type": "integer", "minimum": 0, "maximum": MAX_SEED}},
        "propertyNames": {"pattern": f"^{OPTION_NAME.pattern}$"},
        "additionalProperties": {
            "anyOf": [*PLAIN["anyOf"], {"type": "array", "maxItems": 50, "items": PLAIN}]
        },
    }
)
class Options(serializers.DictField):
    """Checked by `training.services`, which knows what an option may be."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        options = super().to_internal_value(data)
        seed = options.get("seed")
        whole = isinstance(seed, float) and seed.is_integer()  # 5.0 is a whole number in JSON Schema
        return options | ({"seed": int(seed)} if whole else {})


class RunStartSerializer(serializers.Serializer):
    """On a `snapshot`, or a `manifest`: the absolute path of a CSV as the training machine sees it."""

    manifest = Text(
        max_length=1000, validators=[RegexValidator(r"^/[ -~]{1,999}$")], required=False, default=""
    )
    snapshot = Key(required=False, allow_null=True, default=None)
    slot = serializers.ChoiceField(choices=SLOTS, default="cxr")
    start = serializers.ChoiceField(choices=Start.choices, default=Start.SCRATCH.value)
    config = Options(required=False, default=dict, help_text="options of python -m classifier train, by name")


class AuditEventSerializer(serializers.Serializer):
    """`actor` null: the system; `actor_id` is what the list is narrowed by. `subject` is app.model:uuid."""

    id = serializers.UUIDField()
    actor = serializers.CharField(allow_null=True)
    actor_id = serializers.UUIDField(allow_null=True)
    site = serializers.UUIDField(allow_null=True)
    action = serializers.CharField()
    subject = serializers.CharField()
    detail = serializers.DictField()
    request_id = serializers.CharField()
    created_at = serializers.DateTimeField()


def audit_answer(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.pk,
        "actor": event.actor.get_username() if event.actor else None,
        "actor_id": event.actor_id,
        "site": event.site_id,
        "action": event.action,
        "subject": event.subject,
        "detail": event.detail,
        "request_id": event.request_id,
        "created_at": event.created_at,
    }


class SiteSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()
    timezone = serializers.CharField()
    deidentify_on_ingest = serializers.BooleanField()


def site_answer(site: Site) -> dict[str, Any]:
    return {name: getattr(site, name) for name in SiteSerializer().fields}


class MeSerializer(serializers.Serializer):
    """The caller. `permissions` is what this token may do: its scopes, as far as the role grants them."""

    user = serializers.CharField()
    name = serializers.CharField()
    site = SiteSerializer()
    role = serializers.CharField()
    permissions = serializers.ListField(child=serializers.ChoiceField(choices=[p.value for p in Permission]))
    token = serializers.CharField(help_text="the token's name")
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)


def me_answer(membership: Membership, token: ApiToken) -> dict[str, Any]:
    return {
        "user": membership.user.get_username(),
        "name": membership.user.get_full_name(),
        "site": site_answer(membership.site),
        "role": membership.role.name,
        "permissions": sorted(set(membership.role.permissions) & set(token.scopes)),
        "token": token.name,
        "scopes": token.scopes,
        "expires_at": token.expires_at,
    }


class SitesSerializer(serializers.Serializer):
    next = serializers.CharField(allow_null=True)
    results = SiteSerializer(many=True)
