"""Monitoring charts and alarms."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework.serializers import (
    CharField,
    ChoiceField,
    DateTimeField,
    DictField,
    FloatField,
    IntegerField,
    Serializer,
    SerializerMethodField,
)

from webapp.api.fields import CreatedAtField, IdField, StrictCharField, TextOrNullField, UUIDField
from webapp.api.serializers.base import RequestSerializer
from webapp.monitoring.kinds import Kind
from webapp.monitoring.models import COMMENT_AT_MOST, Alarm, AlarmAction, AlarmStatus
from webapp.monitoring.services import OUTCOMES
from webapp.monitoring.texts import heading, sentence

KINDS = [(kind.value, kind.value) for kind in Kind]
ENDS = [(outcome, outcome) for outcome in (*OUTCOMES, "retired")]
KIND = "the monitored signal, such as `pixels`"
COMMENT = "free text without patient data"


class AlarmEventSerializer(Serializer):
    at = DateTimeField(source="created_at", help_text="when it was done")
    action = ChoiceField(AlarmAction.choices, help_text="what was done")
    by = CharField(source="by.username", allow_null=True, help_text="user name; null: the system")
    comment = CharField(help_text="free text; may be empty")
    outcome = TextOrNullField(help_text="resolution; null if this did not close the alarm")


class AlarmSerializer(Serializer):
    id = IdField()
    site = UUIDField(source="site_id", help_text="ID of the site")
    model = UUIDField(
        source="model_version_id", allow_null=True, help_text="ID of the model; null for refusals"
    )
    kind = ChoiceField(KINDS, help_text=KIND)
    status = ChoiceField(AlarmStatus.choices, help_text="`acknowledged`: somebody investigates")
    heading = SerializerMethodField(help_text="what has changed, in a few words")
    sentence = SerializerMethodField(help_text="what has changed, since when and by how much")
    since = DateTimeField(help_text="estimated start of the change")
    detail = DictField(help_text="figures behind the alarm, by name")
    created_at = CreatedAtField(help_text="when it was raised")
    closed_at = DateTimeField(allow_null=True, help_text="null while it is not closed")
    history = AlarmEventSerializer(many=True, help_text="what was done about it, oldest first")

    def get_heading(self, alarm: Alarm) -> str:
        return heading(alarm)

    def get_sentence(self, alarm: Alarm) -> str:
        return sentence(alarm)


class ChartSerializer(Serializer):
    """One monitored signal; a martingale above 100 is an alarm."""

    kind = ChoiceField(KINDS, source="kind.value", help_text=KIND)
    missing = IntegerField(help_text="cases that the baseline still lacks; 0 once it is complete")
    baseline = IntegerField(
        source="run.baseline.cases", allow_null=True, help_text="cases in the baseline; null until complete"
    )
    run = IntegerField(source="run.number", allow_null=True, help_text="number of the current test run")
    cases = IntegerField(source="run.cases", allow_null=True, help_text="cases in the current run")
    martingale = FloatField(
        source="run.martingale", allow_null=True, help_text="drift score, starting at 1; null without a run"
    )
    alarm = UUIDField(
        source="alarm.pk", allow_null=True, help_text="ID of the alarm that is not closed; null if none"
    )


class MonitoredModelSerializer(Serializer):
    model = UUIDField(source="version.pk", help_text="ID of the model version")
    name = CharField(source="version", help_text="slot and number, such as `cxr-3`")
    slot = CharField(source="version.slot", help_text="kind of image")
    charts = ChartSerializer(many=True, help_text="one per monitored signal")
    counted_at = DateTimeField(
        source="summary.at", allow_null=True, help_text="when `counts` were made; null: not yet"
    )
    counts = SerializerMethodField(help_text="rates with 95 % intervals, by week and by group")

    def get_counts(self, row: dict[str, Any]) -> dict[str, Any]:
        return row["summary"].body if row["summary"] else {}


class MonitoringSerializer(Serializer):
    """Monitoring at the token's site, for every active model."""

    site = UUIDField(help_text="ID of the site")
    false_alarms = FloatField(help_text="upper bound of a chart's false-alarm rate per run, 0 to 1")
    open_alarms = IntegerField(help_text="number of alarms that are not closed")
    models = MonitoredModelSerializer(many=True, help_text="one per active model")


class PointSerializer(Serializer):
    at = DateTimeField(help_text="time of the case")
    log10_martingale = FloatField(help_text="decimal logarithm of the martingale; 2 is an alarm")


class DriftSeriesSerializer(Serializer):
    """The martingale (drift score) of one test run of one signal."""

    kind = ChoiceField(KINDS, help_text=KIND)
    run = IntegerField(source="number", help_text="number of the test run; restarts with each baseline")
    cases = IntegerField(help_text="cases in the run")
    max_martingale = FloatField(help_text="highest martingale in the run")
    ended_at = DateTimeField(allow_null=True, help_text="null for the current run")
    points = SerializerMethodField(help_text="the martingale over time, oldest first")

    @extend_schema_field(PointSerializer(many=True))
    def get_points(self, run: Any) -> Any:
        return [{"at": at, "log10_martingale": value} for at, value in run.points]


class AlarmAcknowledgeSerializer(RequestSerializer):
    comment = StrictCharField(max_length=COMMENT_AT_MOST, allow_blank=True, default="", help_text=COMMENT)


class AlarmCommentSerializer(RequestSerializer):
    comment = StrictCharField(max_length=COMMENT_AT_MOST, help_text=COMMENT)


class AlarmCloseSerializer(AlarmCommentSerializer):
    outcome = ChoiceField(
        [(outcome, outcome) for outcome in OUTCOMES],
        help_text="`passed`: the change is over; `accepted`: it becomes the new baseline",
    )
