"""Monitoring over HTTP: how the charts stand, their courses, and the alarms."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.filters import AlarmFilter
from webapp.api.resource import Listing, Resource
from webapp.api.serializers import monitoring as shapes
from webapp.core.errors import CodedError
from webapp.monitoring import services
from webapp.monitoring.kinds import Kind
from webapp.monitoring.models import Alarm
from webapp.monitoring.selectors import (
    alarm_or_404,
    alarms_visible,
    charts,
    earlier_runs,
    monitored_versions,
    open_alarms,
    summaries,
)
from webapp.registry.selectors import model_or_404

FALSE_ALARMS = (
    0.01  # classifier.drift.martingale.FALSE_ALARMS, which only the worker may import; a test compares them
)


class Monitoring(Resource):
    needs = {"GET": "model.view"}

    @extend_schema(operation_id="monitoring", responses=shapes.MonitoringSerializer)
    def get(self, request: Request) -> Response:
        """How everything that is watched at the site stands, with rates by week and by group."""
        told = []
        for version in monitored_versions():
            summary = next(iter(summaries([self.site], version)), None)
            told.append(shapes.version_answer(version, charts(self.site, version), summary))
        alarms = open_alarms(self.site).count()
        answer = {"site": self.site.pk, "false_alarms": FALSE_ALARMS, "open_alarms": alarms, "models": told}
        return Response(answer)


class MonitoringSeries(Resource):
    needs = {"GET": "model.view"}
    params = ("kind",)

    @extend_schema(
        operation_id="monitoring_series",
        parameters=[OpenApiParameter("kind", str, enum=[kind for kind, _ in shapes.KINDS])],
        responses=shapes.SeriesSerializer(many=True),
    )
    def get(self, request: Request, model_id: UUID) -> Response:
        """The course of a version's charts at the site: the run in force and up to three before it."""
        version = model_or_404(request.user, model_id)
        wanted = request.query_params.get("kind")
        if wanted is not None and wanted not in set(Kind):
            raise CodedError("invalid", fields={"kind": [f"One of {', '.join(Kind)} is needed."]})
        shown = [c for c in charts(self.site, version) if c.run and wanted in (None, c.kind.value)]
        earlier = earlier_runs([chart.run for chart in shown])
        return Response(
            [
                shapes.series_answer(chart.kind.value, run)
                for chart in shown
                for run in (*earlier[chart.run.baseline_id], chart.run)
            ]
        )


class AlarmCollection(Listing):
    needs = {"GET": "model.view"}
    queryset = Alarm.objects.none()
    filterset_class = AlarmFilter

    def rows(self) -> Any:
        return alarms_visible(self.request.user)

    def answer(self, rows: list[Alarm]) -> list[dict[str, Any]]:
        return [shapes.alarm_answer(alarm) for alarm in rows]

    @extend_schema(operation_id="alarms_list", responses=shapes.AlarmSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The site's alarms with their trails, newest first."""
        return self.listed(request)


class AlarmDetail(Resource):
    needs = {"GET": "model.view"}

    @extend_schema(operation_id="alarm_retrieve", responses=shapes.AlarmSerializer)
    def get(self, request: Request, alarm_id: UUID) -> Response:
        """One alarm with its history."""
        return Response(shapes.alarm_answer(alarm_or_404(request.user, alarm_id)))


class _Act(Resource):
    needs = {"POST": "alarm.manage"}

    def told(self, request: Request, alarm_id: UUID) -> dict[str, Any]:
        return shapes.alarm_answer(alarm_or_404(request.user, alarm_id, "alarm.manage"))


class AlarmAcknowledge(_Act):
    @extend_schema(
        operation_id="alarm_acknowledge", request=shapes.CommentSerializer, responses=shapes.AlarmSerializer
    )
    def post(self, request: Request, alarm_id: UUID) -> Response:
        """Say that somebody looks into it; 409 `conflict` for an alarm that is not open."""
        alarm = alarm_or_404(request.user, alarm_id, "alarm.manage")
        fields = self.read(request, shapes.CommentSerializer)
        services.alarm_acknowledge(alarm=alarm, actor=request.user, **fields)
        return Response(self.told(request, alarm_id))


class AlarmComment(_Act):
    @extend_schema(
        operation_id="alarm_comment", request=shapes.SaySomethingSerializer, responses=shapes.AlarmSerializer
    )
    def post(self, request: Request, alarm_id: UUID) -> Response:
        """Add a line to an alarm's history."""
        alarm = alarm_or_404(request.user, alarm_id, "alarm.manage")
        fields = self.read(request, shapes.SaySomethingSerializer)
        services.alarm_comment(alarm=alarm, actor=request.user, **fields)
        return Response(self.told(request, alarm_id))


class AlarmClose(_Act):
    @extend_schema(
        operation_id="alarm_close", request=shapes.CloseSerializer, responses=shapes.AlarmSerializer
    )
    def post(self, request: Request, alarm_id: UUID) -> Response:
        """Close an alarm: the change has `passed`, or is `accepted` as the new reference."""
        alarm = alarm_or_404(request.user, alarm_id, "alarm.manage")
        fields = self.read(request, shapes.CloseSerializer)
        services.alarm_close(alarm=alarm, actor=request.user, **fields)
        return Response(self.told(request, alarm_id))
