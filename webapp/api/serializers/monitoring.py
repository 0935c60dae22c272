"""Monitoring charts and alarms."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field

from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import COMMENT_AT_MOST, Alarm, AlarmAction, AlarmStatus
from webapp.monitoring.services import OUTCOMES
from webapp.monitoring.texts import heading, sentence

KINDS = [(kind.value, kind.value) for kind in Signal]
ENDS = [(outcome, outcome) for outcome in (*OUTCOMES, "retired")]
KIND = "the monitored signal, such as `pixels`"
COMMENT = "free text without patient data"


class AlarmEventSerializer(f.Serializer):
    at = f.DateTimeField(source="created_at", help_text="when it was done")
    action = f.ChoiceField(AlarmAction.choices, help_text="what was done")
    by = f.CharField(source="by.username", allow_null=True, help_text="user name; null: the system")
    comment = f.CharField(help_text="free text; may be empty")
    outcome = f.TextOrNullField(help_text="resolution; null if this did not close the alarm")


class AlarmSerializer(f.Serializer):
    id = f.IdField()
    site = f.UUIDField(source="site_id", help_text="ID of the site")
    model = f.UUIDOrNullField("model_version_id", "ID of the model; null for refusals")
    kind = f.ChoiceField(KINDS, help_text=KIND)
    status = f.ChoiceField(AlarmStatus.choices, help_text="`acknowledged`: somebody investigates")
    heading = f.SerializerMethodField(help_text="what has changed, in a few words")
    sentence = f.SerializerMethodField(help_text="what has changed, since when and by how much")
    since = f.DateTimeField(help_text="estimated start of the change")
    detail = f.DictField(help_text="figures behind the alarm, by name")
    created_at = f.CreatedAtField(help_text="when it was raised")
    closed_at = f.DateTimeField(allow_null=True, help_text="null while it is not closed")
    history = AlarmEventSerializer(many=True, help_text="what was done about it, oldest first")

    def get_heading(self, alarm: Alarm) -> str:
        return heading(alarm)

    def get_sentence(self, alarm: Alarm) -> str:
        return sentence(alarm)


class ChartSerializer(f.Serializer):
    """One monitored signal; a martingale above 100 is an alarm."""

    kind = f.ChoiceField(KINDS, source="kind.value", help_text=KIND)
    missing = f.IntegerField(help_text="cases that the baseline still lacks; 0 once it is complete")
    baseline = f.IntegerField(
        source="run.baseline.cases", allow_null=True, help_text="cases in the baseline; null until complete"
    )
    run = f.IntegerField(source="run.number", allow_null=True, help_text="number of the current test run")
    cases = f.IntegerField(source="run.cases", allow_null=True, help_text="cases in the current run")
    martingale = f.FloatField(
        source="run.martingale", allow_null=True, help_text="drift score, starting at 1; null without a run"
    )
    alarm = f.UUIDOrNullField("alarm.pk", "ID of the alarm that is not closed; null if none")


class MonitoredModelSerializer(f.Serializer):
    model = f.UUIDField(source="version.pk", help_text="ID of the model version")
    name = f.CharField(source="version", help_text="slot and number, such as `cxr-3`")
    slot = f.CharField(source="version.slot", help_text="kind of image")
    charts = ChartSerializer(many=True, help_text="one per monitored signal")
    counted_at = f.DateTimeField(
        source="summary.at", allow_null=True, help_text="when `counts` were made; null: not yet"
    )
    counts = f.SerializerMethodField(help_text="rates with 95 % intervals, by week and by group")

    def get_counts(self, row: dict[str, Any]) -> dict[str, Any]:
        return row["summary"].body if row["summary"] else {}


class MonitoringSerializer(f.Serializer):
    """Monitoring at the token's site, for every active model."""

    site = f.UUIDField(help_text="ID of the site")
    false_alarms = f.FloatField(help_text="upper bound of a chart's false-alarm rate per run, 0 to 1")
    open_alarms = f.IntegerField(help_text="number of alarms that are not closed")
    models = MonitoredModelSerializer(many=True, help_text="one per active model")


class PointSerializer(f.Serializer):
    at = f.DateTimeField(help_text="time of the case")
    log10_martingale = f.FloatField(help_text="decimal logarithm of the martingale; 2 is an alarm")


class DriftSeriesSerializer(f.Serializer):
    """The martingale (drift score) of one test run of one signal."""

    kind = f.ChoiceField(KINDS, help_text=KIND)
    run = f.IntegerField(source="number", help_text="number of the test run; restarts with each baseline")
    cases = f.IntegerField(help_text="cases in the run")
    max_martingale = f.FloatField(help_text="highest martingale in the run")
    ended_at = f.DateTimeField(allow_null=True, help_text="null for the current run")
    points = f.SerializerMethodField(help_text="the martingale over time, oldest first")

    @extend_schema_field(PointSerializer(many=True))
    def get_points(self, run: Any) -> Any:
        return [{"at": at, "log10_martingale": value} for at, value in run.points]


class AlarmAcknowledgeSerializer(RequestSerializer):
    comment = f.StrictCharField(max_length=COMMENT_AT_MOST, allow_blank=True, default="", help_text=COMMENT)


class AlarmCommentSerializer(RequestSerializer):
    comment = f.StrictCharField(max_length=COMMENT_AT_MOST, help_text=COMMENT)


class AlarmCloseSerializer(AlarmCommentSerializer):
    outcome = f.ChoiceField(
        [(outcome, outcome) for outcome in OUTCOMES],
        help_text="`passed`: the change is over; `accepted`: it becomes the new baseline",
    )
