"""Monitoring: charts, their drift scores, alarms."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.filters import AlarmFilter
from webapp.api.resource import DetailResource, ListResource, Resource, SinglePage
from webapp.api.schema import operation
from webapp.api.serializers.monitoring import (
    KINDS,
    AlarmAcknowledgeSerializer,
    AlarmCloseSerializer,
    AlarmCommentSerializer,
    AlarmSerializer,
    DriftSeriesSerializer,
    MonitoringSerializer,
)
from webapp.core.errors import CodedError
from webapp.monitoring import services
from webapp.monitoring.kinds import Signal
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
from webapp.registry.models import ModelVersion
from webapp.registry.selectors import model_or_404

# classifier.drift.martingale.FALSE_ALARMS, which only the worker may import; a test compares them.
FALSE_ALARMS = 0.01


class Monitoring(Resource):
    needs = {"GET": "model.view"}

    @operation("monitoring", returns=MonitoringSerializer)
    def get(self, request: Request) -> Response:
        """Get the state of every monitored signal at the site, with rates by week and by group."""
        found = {
            "site": self.site.pk,
            "false_alarms": FALSE_ALARMS,
            "open_alarms": open_alarms(self.site).count(),
            "models": [self._model(version) for version in monitored_versions()],
        }
        return Response(MonitoringSerializer(found).data)

    def _model(self, version: ModelVersion) -> dict[str, Any]:
        summary = next(iter(summaries([self.site], version)), None)
        return {"version": version, "charts": charts(self.site, version), "summary": summary}


class DriftSeries(SinglePage):
    needs = {"GET": "model.view"}
    params = ("kind",)
    serializer_class = DriftSeriesSerializer

    @operation(
        "monitoring_series",
        parameters=[
            OpenApiParameter("kind", str, enum=[kind for kind, _ in KINDS], description="only this signal")
        ],
        returns=DriftSeriesSerializer(many=True),
    )
    def get(self, request: Request, model_id: UUID) -> Response:
        """Get the drift scores of a model at the site: the current run and up to three before it."""
        version = model_or_404(request.user, model_id)
        wanted = request.query_params.get("kind")
        if wanted is not None and wanted not in set(Signal):
            raise CodedError("invalid", fields={"kind": [f"Must be one of: {', '.join(Signal)}."]})
        shown = [c for c in charts(self.site, version) if c.run and wanted in (None, c.kind.value)]
        earlier = earlier_runs([chart.run for chart in shown])
        runs = []
        for chart in shown:
            for run in (*earlier[chart.run.baseline_id], chart.run):
                run.kind = chart.kind.value
                runs.append(run)
        return self.listed(runs)


class AlarmCollection(ListResource):
    """List the site's alarms with their history, newest first."""

    name = "alarms_list"
    needs = {"GET": "model.view"}
    queryset = Alarm.objects.none()
    filterset_class = AlarmFilter
    serializer_class = AlarmSerializer
    find = alarms_visible


class AlarmDetail(DetailResource):
    """Get an alarm with its history."""

    needs = {"GET": "model.view"}
    name, find, serializer_class = "alarm_retrieve", alarm_or_404, AlarmSerializer


class AlarmAction(Resource):
    needs = {"POST": "alarm.manage"}

    def act(self, service: Any, alarm_id: UUID) -> Response:
        alarm = alarm_or_404(self.request.user, alarm_id, "alarm.manage")
        service(alarm=alarm, actor=self.request.user, **self.read())
        return Response(AlarmSerializer(alarm_or_404(self.request.user, alarm_id, "alarm.manage")).data)


class AlarmAcknowledge(AlarmAction):
    @operation("alarm_acknowledge", body=AlarmAcknowledgeSerializer, returns=AlarmSerializer)
    def post(self, request: Request, alarm_id: UUID) -> Response:
        """Acknowledge an alarm: somebody investigates; 409 `conflict` for one that is not open."""
        return self.act(services.alarm_acknowledge, alarm_id)


class AlarmComment(AlarmAction):
    @operation("alarm_comment", body=AlarmCommentSerializer, returns=AlarmSerializer)
    def post(self, request: Request, alarm_id: UUID) -> Response:
        """Add a comment to an alarm."""
        return self.act(services.alarm_comment, alarm_id)


class AlarmClose(AlarmAction):
    @operation("alarm_close", body=AlarmCloseSerializer, returns=AlarmSerializer)
    def post(self, request: Request, alarm_id: UUID) -> Response:
        """Close an alarm: the change has `passed`, or is `accepted` as the new baseline."""
        return self.act(services.alarm_close, alarm_id)
