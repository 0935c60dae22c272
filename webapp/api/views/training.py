"""Snapshots, training runs and when they start by themselves, over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import FileResponse, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.filters import RunFilter, SnapshotFilter
from webapp.api.resource import Listing, Resource
from webapp.api.serializers import models as shapes
from webapp.api.serializers import training as forms
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


class CsvRenderer(BaseRenderer):
    """So that a caller may ask for text/csv; the view hands out the bytes itself."""

    media_type, format, charset, render_style = "text/csv", "csv", None, "binary"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return data


class SnapshotCollection(Listing):
    needs = {"GET": "model.view", "POST": "training.start"}
    queryset = Snapshot.objects.none()
    filterset_class = SnapshotFilter

    def rows(self) -> Any:
        return snapshots_visible(self.request.user)

    def answer(self, rows: list[Snapshot]) -> list[dict[str, Any]]:
        return [forms.snapshot_answer(snapshot) for snapshot in rows]

    @extend_schema(operation_id="snapshots_list", responses=forms.SnapshotSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Frozen data sets with what the data audit warned of, newest first."""
        return self.listed(request)

    @extend_schema(
        operation_id="snapshot_create",
        request=forms.SnapshotStartSerializer,
        responses={200: forms.SnapshotSerializer, 201: forms.SnapshotSerializer},
    )
    def post(self, request: Request) -> Response:
        """Freeze what is labelled at the site: 201, or 200 with the earlier one if nothing has changed."""
        slot = self.read(request, forms.SnapshotStartSerializer)["slot"]
        snapshot, made = snapshot_create(site=self.site, slot=slot, actor=request.user)
        told = forms.snapshot_answer(snapshot_or_404(request.user, snapshot.pk))
        return Response(told, status=201 if made else 200)


class SnapshotDetail(Resource):
    needs = {"GET": "model.view"}

    @extend_schema(operation_id="snapshot_retrieve", responses=forms.SnapshotSerializer)
    def get(self, request: Request, snapshot_id: UUID) -> Response:
        """A frozen data set: what is in it, what was left out, what its audit warned of."""
        return Response(forms.snapshot_answer(snapshot_or_404(request.user, snapshot_id)))


class SnapshotManifest(Resource):
    needs = {"GET": "training.start"}
    renderer_classes = [CsvRenderer, JSONRenderer]

    @extend_schema(
        operation_id="snapshot_manifest",
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.BINARY, description="the manifest")},
    )
    def get(self, request: Request, snapshot_id: UUID) -> HttpResponse:
        """The frozen manifest: pseudonymous patients, findings, parts, and each image's hash."""
        snapshot = snapshot_or_404(request.user, snapshot_id)
        if snapshot.site_id not in (None, self.site.pk):
            raise CodedError("not_found")
        return FileResponse(storage.opened(snapshot.stored_name, "The manifest"), content_type="text/csv")


class RunCollection(Listing):
    needs = {"GET": "model.view", "POST": "training.start"}
    queryset = TrainingRun.objects.none()
    filterset_class = RunFilter

    def rows(self) -> Any:
        return runs_visible(self.request.user)

    def answer(self, rows: list[TrainingRun]) -> list[dict[str, Any]]:
        return [shapes.run_answer(run) for run in rows]

    @extend_schema(operation_id="training_runs_list", responses=shapes.RunSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Training runs, newest first."""
        return self.listed(request)

    @extend_schema(
        operation_id="training_run_start",
        request=shapes.RunStartSerializer,
        responses={201: shapes.RunSerializer},
    )
    def post(self, request: Request) -> Response:
        """Queue a training; it ends in a candidate of the site, which only a promotion makes active.

        On a snapshot, on a manifest that the training machine sees, or with neither on what is labelled when
        it begins. 409 `data_unchanged` where the very same was trained already.
        """
        said = self.read(request, shapes.RunStartSerializer)
        key = said["snapshot"]
        run = training_start(
            site=self.site,
            actor=request.user,
            manifest=said["manifest"],
            snapshot=snapshot_or_404(request.user, key) if key else None,
            slot=said["slot"],
            start=said["start"],
            config=said["config"],
        )
        return Response(shapes.run_answer(run), status=201)


class RunDetail(Resource):
    needs = {"GET": "model.view"}

    @extend_schema(operation_id="training_run_retrieve", responses=shapes.RunSerializer)
    def get(self, request: Request, run_id: UUID) -> Response:
        """How far a training has come, and what it ended in."""
        return Response(shapes.run_answer(run_or_404(request.user, run_id)))


class RunLog(Resource):
    needs = {"GET": "model.view"}

    @extend_schema(operation_id="training_run_log", responses=forms.LogSerializer)
    def get(self, request: Request, run_id: UUID) -> Response:
        """Each epoch's numbers, and the last lines of what the training said."""
        run = run_or_404(request.user, run_id)
        return Response({"curve": run.curve, "lines": run.log})


class RunCancel(Resource):
    needs = {"POST": "training.start"}

    @extend_schema(operation_id="training_run_cancel", request=None, responses=shapes.RunSerializer)
    def post(self, request: Request, run_id: UUID) -> Response:
        """End a training; 409 `conflict` for one that has already ended."""
        run = training_cancel(run=run_or_404(request.user, run_id), actor=request.user)
        return Response(shapes.run_answer(run))


class ScheduleCollection(Listing):
    needs = {"GET": "model.view", "POST": "training.start"}
    queryset = TrainingSchedule.objects.none()

    def rows(self) -> Any:
        return schedules_visible(self.request.user)

    def answer(self, rows: list[TrainingSchedule]) -> list[dict[str, Any]]:
        return [forms.schedule_answer(schedule) for schedule in rows]

    @extend_schema(operation_id="training_schedules_list", responses=forms.ScheduleSerializer(many=True))
    def get(self, request: Request) -> Response:
        """When trainings start by themselves, newest first."""
        return self.listed(request)

    @extend_schema(
        operation_id="training_schedule_write",
        request=forms.ScheduleWriteSerializer,
        responses=forms.ScheduleSerializer,
    )
    def post(self, request: Request) -> Response:
        """Write the site's one schedule of a slot. Where nothing was labelled since, nothing is trained."""
        rules = self.read(request, forms.ScheduleWriteSerializer)
        schedule = schedule_set(site=self.site, slot=rules.pop("slot"), actor=request.user, rules=rules)
        return Response(forms.schedule_answer(schedule))


class ScheduleDetail(Resource):
    needs = {"GET": "model.view", "DELETE": "training.start"}

    @extend_schema(operation_id="training_schedule_retrieve", responses=forms.ScheduleSerializer)
    def get(self, request: Request, schedule_id: UUID) -> Response:
        """When trainings of a slot start by themselves."""
        return Response(forms.schedule_answer(schedule_or_404(request.user, schedule_id)))

    @extend_schema(operation_id="training_schedule_delete", request=None, responses={204: None})
    def delete(self, request: Request, schedule_id: UUID) -> Response:
        """Nothing starts by it any more; the runs that it started stay."""
        schedule_delete(schedule=schedule_or_404(request.user, schedule_id), actor=request.user)
        return Response(status=204)
