"""Charts, counts and alarms as the API tells them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from webapp.api.fields import Text
from webapp.monitoring.kinds import Kind
from webapp.monitoring.models import (
    COMMENT_AT_MOST,
    Alarm,
    AlarmAction,
    AlarmEvent,
    AlarmStatus,
    MonitoringRun,
    MonitoringSummary,
)
from webapp.monitoring.selectors import Chart
from webapp.monitoring.services import OUTCOMES
from webapp.monitoring.texts import heading, sentence
from webapp.registry.models import ModelVersion

KINDS = [(kind.value, kind.value) for kind in Kind]
ENDS = [(outcome, outcome) for outcome in (*OUTCOMES, "retired")]


class AlarmEventSerializer(serializers.Serializer):
    """`by` null: the system. `outcome` stands where the alarm was closed."""

    at = serializers.DateTimeField()
    action = serializers.ChoiceField(choices=AlarmAction.choices)
    by = serializers.CharField(allow_null=True)
    comment = serializers.CharField()
    outcome = serializers.ChoiceField(choices=ENDS, allow_null=True)


class AlarmSerializer(serializers.Serializer):
    """`since`: from when on cases seem to be different. `model` null: refusals are decided without any."""

    id = serializers.UUIDField()
    site = serializers.UUIDField()
    model = serializers.UUIDField(allow_null=True)
    kind = serializers.ChoiceField(choices=KINDS)
    status = serializers.ChoiceField(choices=AlarmStatus.choices)
    heading = serializers.CharField()
    sentence = serializers.CharField()
    since = serializers.DateTimeField()
    detail = serializers.DictField(help_text="score, was, is, cases since the change, martingale")
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    history = AlarmEventSerializer(many=True)


def alarm_answer(alarm: Alarm) -> dict[str, Any]:
    return {
        "id": alarm.pk,
        "site": alarm.site_id,
        "model": alarm.model_version_id,
        "kind": alarm.kind,
        "status": alarm.status,
        "heading": heading(alarm),
        "sentence": sentence(alarm),
        "since": alarm.since,
        "detail": alarm.detail,
        "created_at": alarm.created_at,
        "closed_at": alarm.closed_at,
        "history": [_event(event) for event in alarm.history.all()],
    }


def _event(event: AlarmEvent) -> dict[str, Any]:
    return {
        "at": event.created_at,
        "action": event.action,
        "by": event.by.get_username() if event.by else None,
        "comment": event.comment,
        "outcome": event.outcome or None,
    }


class ChartSerializer(serializers.Serializer):
    """How one kind stands. `missing`: cases the baseline lacks; an alarm opens at `martingale` 100."""

    kind = serializers.ChoiceField(choices=KINDS)
    missing = serializers.IntegerField()
    baseline = serializers.IntegerField(allow_null=True, help_text="cases in the baseline")
    run = serializers.IntegerField(allow_null=True)
    cases = serializers.IntegerField(allow_null=True, help_text="in the run so far")
    martingale = serializers.FloatField(allow_null=True)
    alarm = serializers.UUIDField(allow_null=True)


class MonitoringRowSerializer(serializers.Serializer):
    model = serializers.UUIDField()
    name = serializers.CharField()
    slot = serializers.CharField()
    charts = ChartSerializer(many=True)
    counted_at = serializers.DateTimeField(allow_null=True, help_text="null: not yet")
    counts = serializers.DictField(help_text="rates with 95 % intervals, by week and by group")


class MonitoringSerializer(serializers.Serializer):
    """What is watched at the token's site, for every version that answers now."""

    site = serializers.UUIDField()
    false_alarms = serializers.FloatField(
        help_text="how likely, at most, a chart raises one in a run while nothing changes, 0 to 1"
    )
    open_alarms = serializers.IntegerField()
    models = MonitoringRowSerializer(many=True)


def chart_answer(chart: Chart) -> dict[str, Any]:
    run = chart.run
    return {
        "kind": chart.kind.value,
        "missing": chart.missing,
        "baseline": run.baseline.cases if run else None,
        "run": run.number if run else None,
        "cases": run.cases if run else None,
        "martingale": run.martingale if run else None,
        "alarm": chart.alarm.pk if chart.alarm else None,
    }


def version_answer(
    version: ModelVersion, charts: list[Chart], summary: MonitoringSummary | None
) -> dict[str, Any]:
    return {
        "model": version.pk,
        "name": str(version),
        "slot": version.slot,
        "charts": [chart_answer(chart) for chart in charts],
        "counted_at": summary.at if summary else None,
        "counts": summary.body if summary else {},
    }


class PointSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    log10_martingale = serializers.FloatField()


class SeriesSerializer(serializers.Serializer):
    """The course of one chart's runs, oldest first; each begins with a martingale of 1."""

    kind = serializers.ChoiceField(choices=KINDS)
    run = serializers.IntegerField()
    cases = serializers.IntegerField()
    max_martingale = serializers.FloatField()
    ended_at = serializers.DateTimeField(allow_null=True)
    points = PointSerializer(many=True)


def series_answer(kind: str, run: MonitoringRun) -> dict[str, Any]:
    return {
        "kind": kind,
        "run": run.number,
        "cases": run.cases,
        "max_martingale": run.max_martingale,
        "ended_at": run.ended_at,
        "points": [{"at": at, "log10_martingale": value} for at, value in run.points],
    }


class CommentSerializer(serializers.Serializer):
    comment = Text(max_length=COMMENT_AT_MOST, allow_blank=True, default="", help_text="no patient data")


class SaySomethingSerializer(serializers.Serializer):
    comment = Text(max_length=COMMENT_AT_MOST, help_text="what was found out; no patient data")


class CloseSerializer(serializers.Serializer):
    outcome = serializers.ChoiceField(choices=[(outcome, outcome) for outcome in OUTCOMES])
    comment = Text(max_length=COMMENT_AT_MOST, help_text="why; no patient data")
