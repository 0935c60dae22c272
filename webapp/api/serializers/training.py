"""Snapshots, training runs and training schedules."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field

from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.api.serializers.scans import SLOTS
from webapp.core.jobs.table import JobStatus
from webapp.training.models import Cadence, RunStatus, Snapshot, Start, Trigger
from webapp.training.options import DATA_SET, MAX_SEED
from webapp.training.options import OPTIONS as OPTION_NAMES

START = "initial weights: `active`: those of the active model; otherwise none of Hilum's models"
OPTIONS = "options of python -m classifier train, by name"
CADENCE = "how often the schedule starts a run; `never`: only the other conditions do"
NEW_LABELS = "start once this many scans were labelled since the last run; null: no such condition"
ON_DRIFT = "start when monitoring raises an alarm, at most once a day"
AT = "time of day in the site's time zone (UTC for all sites)"
SITE = "ID of the site that owns it; null: all sites"
PLAIN = {"anyOf": [{"type": "boolean"}, {"type": "number"}, {"type": "string", "pattern": "^[ -~]{0,500}$"}]}


class WarningSerializer(f.Serializer):
    severity = f.ChoiceField(["high", "medium", "low"], help_text="how severe it is")
    code = f.CharField(help_text="stable code for programs")
    text = f.CharField(help_text="what was found")
    advice = f.CharField(help_text="what to do about it")
    numbers = f.DictField(help_text="the figures behind it, by name")


class SnapshotSerializer(f.Serializer):
    """A labelled data set that does not change."""

    id = f.IdField()
    site = f.UUIDOrNullField("site_id", SITE)
    slot = f.ChoiceField(SLOTS, help_text="kind of image")
    fingerprint = f.CharField(help_text="SHA-256 of the manifest")
    findings = f.ListField(child=f.CharField(), help_text="findings, in the order of a model's outputs")
    counts = f.DictField(help_text="images and patients by split and finding, and what was left out")
    validation = f.ChoiceField(
        JobStatus.choices, source="validation.status", help_text="status of the data validation"
    )
    warnings = f.SerializerMethodField(
        help_text="data validation warnings, most severe first; null until done"
    )
    created_by = f.CharField(source="created_by.username", help_text="user name of the creator")
    created_at = f.CreatedAtField()

    @extend_schema_field(WarningSerializer(many=True, allow_null=True))
    def get_warnings(self, snapshot: Snapshot) -> Any:
        return snapshot.validation.warnings if snapshot.validation.status == JobStatus.DONE else None


class SnapshotCreateSerializer(RequestSerializer):
    slot = f.ChoiceField(SLOTS, default="cxr", help_text="kind of image")


class TrainingRunSerializer(f.Serializer):
    id = f.IdField()
    status = f.ChoiceField(RunStatus.choices, help_text="`skipped`: there was nothing new to train on")
    site = f.UUIDOrNullField("site_id", SITE)
    started_by = f.CharField(source="started_by.username", help_text="user name of who started it")
    trigger = f.ChoiceField(Trigger.choices, help_text="why it started")
    slot = f.ChoiceField(SLOTS, help_text="kind of image")
    snapshot = f.UUIDOrNullField("snapshot_id", "ID of the snapshot; null: a manifest, or none yet")
    start = f.ChoiceField(Start.choices, help_text=START)
    base = f.UUIDOrNullField("base_id", "ID of the model it started from; null if none (yet)")
    attempts = f.IntegerField(help_text="how often a worker started or resumed it")
    minutes_left = f.FloatField(allow_null=True, help_text="estimate; null when not running or too early")
    options = f.DictField(help_text="every option with its value, defaults included; empty until it starts")
    config = f.DictField(help_text="the options that were requested, by name")
    seed = f.IntegerField(help_text="random seed")
    percent = f.IntegerField(help_text="progress, 0 to 100")
    progress = f.DictField(help_text="latest figures of the training, by name")
    candidate = f.UUIDOrNullField("candidate_id", "ID of the resulting model; null if none (yet)")
    cancel_requested = f.BooleanField(help_text="whether it is being cancelled")
    reason = f.CharField(source="failure.code", allow_null=True, help_text="why it failed or was skipped")
    detail = f.CharField(source="failure.message", allow_null=True, help_text="the same in words")
    remedy = f.CharField(source="failure.remedy", allow_null=True, help_text="what to do about it")
    created_at = f.CreatedAtField(help_text="when it was queued")
    finished_at = f.DateTimeField(allow_null=True, help_text="when it ended; null if it has not")


@extend_schema_field(
    {
        "type": "object",
        "properties": {
            "seed": {"type": "integer", "minimum": 0, "maximum": MAX_SEED, "description": "random seed"}
        },
        "propertyNames": {"enum": sorted(OPTION_NAMES | {"seed", "slot"})},
        "additionalProperties": {
            "anyOf": [*PLAIN["anyOf"], {"type": "array", "maxItems": 50, "items": PLAIN}]
        },
    }
)
class TrainingOptionsField(f.DictField):
    """Checked by `training.services`, which knows the options."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        options = super().to_internal_value(data)
        seed = options.get("seed")
        whole = isinstance(seed, float) and seed.is_integer()  # 5.0 is an integer in JSON Schema
        return options | ({"seed": int(seed)} if whole else {})


class TrainingRunCreateSerializer(RequestSerializer):
    """On a `snapshot` or a `data_set`; with neither, on what is labelled when the run starts."""

    data_set = f.StrictCharField(
        max_length=500,
        required=False,
        default="",
        validators=[RegexValidator(DATA_SET, "There is no data set with this name.")],
        help_text="a CSV below a folder of HILUM_DATA_SETS on the server, such as `chest/manifest.csv`",
    )
    snapshot = f.UUIDField(required=False, allow_null=True, default=None, help_text="ID of the snapshot")
    slot = f.ChoiceField(SLOTS, default="cxr", help_text="kind of image")
    start = f.ChoiceField(Start.choices, default=Start.SCRATCH.value, help_text=START)
    config = TrainingOptionsField(required=False, default=dict, help_text=OPTIONS)


class TrainingLogSerializer(f.Serializer):
    curve = f.ListField(child=f.DictField(), help_text="by epoch (`loss`, `val_loss` …), oldest first")
    lines = f.ListField(source="log", child=f.CharField(), help_text="latest lines of the log, oldest first")


class TrainingScheduleSerializer(f.Serializer):
    """When training runs of a slot start automatically."""

    id = f.IdField()
    site = f.UUIDOrNullField("site_id", SITE)
    slot = f.ChoiceField(SLOTS, help_text="kind of image")
    enabled = f.BooleanField(help_text="whether it starts runs")
    cadence = f.ChoiceField(Cadence.choices, help_text=CADENCE)
    weekday = f.IntegerField(help_text="day of the week for `weekly`: 0 is Monday")
    day = f.IntegerField(help_text="day of the month for `monthly`")
    at = f.TimeOfDayField(help_text=AT)
    next_at = f.DateTimeField(allow_null=True, help_text="next scheduled run; null if none")
    new_labels = f.IntegerField(allow_null=True, help_text=NEW_LABELS)
    on_drift = f.BooleanField(help_text=ON_DRIFT)
    start = f.ChoiceField(Start.choices, help_text=START)
    config = f.DictField(help_text=OPTIONS)
    created_by = f.CharField(source="created_by.username", help_text="user name of who saved it last")
    created_at = f.CreatedAtField()


class TrainingScheduleSaveSerializer(RequestSerializer):
    """What is left out keeps its value, or its default."""

    slot = f.ChoiceField(SLOTS, default="cxr", help_text="kind of image")
    enabled = f.StrictBooleanField(required=False, help_text="whether it starts runs")
    cadence = f.ChoiceField(Cadence.choices, required=False, help_text=CADENCE)
    weekday = f.StrictIntegerField(min_value=0, max_value=6, required=False, help_text="0 is Monday")
    day = f.StrictIntegerField(min_value=1, max_value=28, required=False, help_text="day of the month")
    at = f.TimeOfDayField(required=False, help_text=AT)
    new_labels = f.StrictIntegerField(
        min_value=1, max_value=1_000_000, required=False, allow_null=True, help_text=NEW_LABELS
    )
    on_drift = f.StrictBooleanField(required=False, help_text=ON_DRIFT)
    start = f.ChoiceField(Start.choices, required=False, help_text=START)
    config = TrainingOptionsField(required=False, help_text=OPTIONS)
