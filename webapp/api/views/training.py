"""Snapshots, training runs and training schedules."""

from __future__ import annotations

from uuid import UUID

from django.http import FileResponse, HttpResponse
from drf_spectacular.utils import OpenApiResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.examples import TRAINING_EXAMPLE
from webapp.api.filters import RunFilter, SnapshotFilter
from webapp.api.resource import DetailResource, ListResource, Resource, file_renderer
from webapp.api.schema import file_response, operation
from webapp.api.serializers.training import (
    SnapshotCreateSerializer,
    SnapshotSerializer,
    TrainingLogSerializer,
    TrainingRunCreateSerializer,
    TrainingRunSerializer,
    TrainingScheduleSaveSerializer,
    TrainingScheduleSerializer,
)
from webapp.audit.services import record
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.training.models import Snapshot, TrainingRun, TrainingSchedule
from webapp.training.schedules import schedule_delete, schedule_set
from webapp.training.selectors import (
    run_or_404,
    runs_visible,
    schedule_or_404,
    schedules_visible,
    snapshot_or_404,
    snapshots_visible,
)
from webapp.training.services import training_cancel, training_start
from webapp.training.snapshots import snapshot_create


class SnapshotCollection(ListResource):
    """List snapshots with their data validation warnings, newest first."""

    name = "snapshots_list"
    needs = {"GET": "model.view", "POST": "training.start"}
    queryset = Snapshot.objects.none()
    filterset_class = SnapshotFilter
    serializer_class = SnapshotSerializer
    find = snapshots_visible

    @operation(
        "snapshot_create",
        body=SnapshotCreateSerializer,
        returns={
            201: SnapshotSerializer,
            200: OpenApiResponse(SnapshotSerializer, description="The earlier one: nothing has changed"),
        },
    )
    def post(self, request: Request) -> Response:
        """Create a snapshot of the site's labelled images."""
        snapshot, created = snapshot_create(site=self.site, slot=self.read()["slot"], actor=request.user)
        found = snapshot_or_404(request.user, snapshot.pk)
        return Response(SnapshotSerializer(found).data, status=201 if created else 200)


class SnapshotDetail(DetailResource):
    """Get a snapshot: its contents, what was left out, its data validation warnings."""

    needs = {"GET": "model.view"}
    name, find, serializer_class = "snapshot_retrieve", snapshot_or_404, SnapshotSerializer


class SnapshotManifest(Resource):
    needs = {"GET": "training.start"}
    renderer_classes = [file_renderer("text/csv"), JSONRenderer]

    @operation("snapshot_manifest", returns=file_response("text/csv", "the manifest"))
    def get(self, request: Request, snapshot_id: UUID) -> HttpResponse:
        """Download the manifest of a snapshot: pseudonymous patients, findings, splits, image hashes."""
        snapshot = snapshot_or_404(request.user, snapshot_id)
        if snapshot.site_id not in (None, self.site.pk):
            raise CodedError("not_found")
        file = storage.opened(snapshot.stored_name, "The manifest")
        record(actor=request.user, site=self.site, action="snapshot.exported", subject=snapshot)
        return FileResponse(file, content_type="text/csv")


class RunCollection(ListResource):
    """List training runs, newest first."""

    name = "training_runs_list"
    needs = {"GET": "model.view", "POST": "training.start"}
    queryset = TrainingRun.objects.none()
    filterset_class = RunFilter
    serializer_class = TrainingRunSerializer
    find = runs_visible

    @operation(
        "training_run_start",
        body=TrainingRunCreateSerializer,
        returns={201: TrainingRunSerializer},
        examples=[TRAINING_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        """Start a training run; it results in a candidate of the site.

        It trains on a snapshot, on a data set on the server, or, with neither, on what is labelled when it
        starts. 409 `data_unchanged` if the same was trained before.
        """
        fields = self.read()
        key = fields.pop("snapshot")
        snapshot = snapshot_or_404(request.user, key) if key else None
        run = training_start(site=self.site, actor=request.user, snapshot=snapshot, **fields)
        return Response(TrainingRunSerializer(run).data, status=201)


class RunDetail(DetailResource):
    """Get a training run with its progress and result."""

    needs = {"GET": "model.view"}
    name, find, serializer_class = "training_run_retrieve", run_or_404, TrainingRunSerializer


class RunLog(DetailResource):
    """Get the figures of each epoch and the latest log lines of a training run."""

    needs = {"GET": "model.view"}
    name, find, serializer_class = "training_run_log", run_or_404, TrainingLogSerializer


class RunCancel(Resource):
    needs = {"POST": "training.start"}

    @operation("training_run_cancel", returns=TrainingRunSerializer)
    def post(self, request: Request, run_id: UUID) -> Response:
        """Cancel a training run; 409 `conflict` for one that has ended."""
        run = training_cancel(run=run_or_404(request.user, run_id), actor=request.user)
        return Response(TrainingRunSerializer(run).data)


class ScheduleCollection(ListResource):
    """List training schedules, newest first."""

    name = "training_schedules_list"
    needs = {"GET": "model.view", "POST": "training.start"}
    queryset = TrainingSchedule.objects.none()
    serializer_class = TrainingScheduleSerializer
    find = schedules_visible

    @operation(
        "training_schedule_save", body=TrainingScheduleSaveSerializer, returns=TrainingScheduleSerializer
    )
    def post(self, request: Request) -> Response:
        """Save the site's training schedule of a slot; it starts no run where nothing new is labelled."""
        rules = self.read()
        schedule = schedule_set(site=self.site, slot=rules.pop("slot"), actor=request.user, rules=rules)
        return Response(TrainingScheduleSerializer(schedule).data)


class ScheduleDetail(DetailResource):
    """Get a training schedule."""

    needs = {"GET": "model.view", "DELETE": "training.start"}
    name, find, serializer_class = "training_schedule_retrieve", schedule_or_404, TrainingScheduleSerializer

    @operation("training_schedule_delete", returns={204: None})
    def delete(self, request: Request, schedule_id: UUID) -> Response:
        """Delete a training schedule; the runs that it started stay."""
        schedule_delete(schedule=self.found(), actor=request.user)
        return Response(status=204)
