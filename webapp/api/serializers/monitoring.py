"""Charts, counts and alarms as the API tells them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from webapp.api.fields import Text
from webapp.monitoring.kinds import Kind
from webapp.monitoring.models import COMMENT_AT_MOST, Act, Alarm, AlarmEvent, AlarmStatus, Round, Summary
from webapp.monitoring.selectors import Chart
from webapp.monitoring.services import OUTCOMES
from webapp.monitoring.texts import heading, sentence
from webapp.registry.models import ModelVersion

KINDS = [(kind.value, kind.value) for kind in Kind]
ENDS = [(outcome, outcome) for outcome in (*OUTCOMES, "retired")]


class AlarmEventSerializer(serializers.Serializer):
    """`by` null: the system. `outcome` stands where the alarm was closed."""

    at = serializers.DateTimeField()
    act = serializers.ChoiceField(choices=Act.choices)
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
    detail = serializers.DictField(help_text="score, was, is, cases since the change, capital")
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    trail = AlarmEventSerializer(many=True)


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
        "trail": [_event(event) for event in alarm.trail.all()],
    }


def _event(event: AlarmEvent) -> dict[str, Any]:
    return {
        "at": event.created_at,
        "act": event.act,
        "by": event.by.get_username() if event.by else None,
        "comment": event.comment,
        "outcome": event.outcome or None,
    }


class ChartSerializer(serializers.Serializer):
    """How one kind stands. `missing`: cases that the reference lacks; `capital` above 100 is an alarm."""

    kind = serializers.ChoiceField(choices=KINDS)
    missing = serializers.IntegerField()
    reference = serializers.IntegerField(allow_null=True, help_text="cases in the reference")
    round = serializers.IntegerField(allow_null=True)
    cases = serializers.IntegerField(allow_null=True, help_text="in the round so far")
    capital = serializers.FloatField(allow_null=True)
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
        help_text="how likely, at most, a chart raises one in a round while nothing changes, 0 to 1"
    )
    open_alarms = serializers.IntegerField()
    models = MonitoringRowSerializer(many=True)


def chart_answer(chart: Chart) -> dict[str, Any]:
    round = chart.round
    return {
        "kind": chart.kind.value,
        "missing": chart.missing,
        "reference": round.baseline.cases if round else None,
        "round": round.number if round else None,
        "cases": round.cases if round else None,
        "capital": round.capital if round else None,
        "alarm": chart.alarm.pk if chart.alarm else None,
    }


def version_answer(version: ModelVersion, charts: list[Chart], summary: Summary | None) -> dict[str, Any]:
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
    log10_capital = serializers.FloatField()


class SeriesSerializer(serializers.Serializer):
    """The course of one chart's rounds, oldest first; each begins with a capital of 1."""

    kind = serializers.ChoiceField(choices=KINDS)
    round = serializers.IntegerField()
    cases = serializers.IntegerField()
    highest = serializers.FloatField()
    ended_at = serializers.DateTimeField(allow_null=True)
    points = PointSerializer(many=True)


def series_answer(kind: str, round: Round) -> dict[str, Any]:
    return {
        "kind": kind,
        "round": round.number,
        "cases": round.cases,
        "highest": round.highest,
        "ended_at": round.ended_at,
        "points": [{"at": at, "log10_capital": value} for at, value in round.points],
    }


class CommentSerializer(serializers.Serializer):
    comment = Text(max_length=COMMENT_AT_MOST, allow_blank=True, default="", help_text="no patient data")


class SaySomethingSerializer(serializers.Serializer):
    comment = Text(max_length=COMMENT_AT_MOST, help_text="what was found out; no patient data")


class CloseSerializer(serializers.Serializer):
    outcome = serializers.ChoiceField(choices=[(outcome, outcome) for outcome in OUTCOMES])
    comment = Text(max_length=COMMENT_AT_MOST, help_text="why; no patient data")
