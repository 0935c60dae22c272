"""Labels over HTTP: who said what of which scan; out and in as CSV; manifests as history."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.filters import LabelFilter
from webapp.api.intake import bounded
from webapp.api.resource import Listing, Resource
from webapp.api.serializers import labels as shapes
from webapp.api.views.scans import scan_by_id
from webapp.core.errors import CodedError
from webapp.labels import import_export
from webapp.labels.annotation import label_add
from webapp.labels.manifests import (
    line_upload,
    manifest_import,
    manifest_parse,
    manifests_visible,
    progress_of,
)
from webapp.labels.models import Label, LineStatus, Manifest
from webapp.labels.queue_progress import labels_visible
from webapp.labels.selectors import ground_truth
from webapp.scans.selectors import scan_or_404

OPEN_LINES = 1000


class CsvRenderer(BaseRenderer):
    """So that a caller may ask for text/csv; the view hands out the lines itself."""

    media_type, format, charset = "text/csv", "csv", "utf-8"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return data


class LabelCollection(Listing):
    needs = {"GET": "scan.label", "POST": "scan.label"}
    queryset = Label.objects.none()
    filterset_class = LabelFilter

    def rows(self) -> Any:
        return labels_visible(self.request.user)

    def answer(self, rows: list[Label]) -> list[dict[str, Any]]:
        return [shapes.label_answer(label) for label in rows]

    @extend_schema(operation_id="labels_list", responses=shapes.LabelSerializer(many=True))
    def get(self, request: Request) -> Response:
        """What people said of scans, newest first.

        Left out is what others said of a scan that a queue may still ask the caller for.
        """
        return self.listed(request)

    @extend_schema(
        operation_id="label_create",
        request=shapes.LabelCreateSerializer,
        responses={201: shapes.LabelSerializer},
    )
    def post(self, request: Request) -> Response:
        """Label a scan outside of any queue; 409 `conflict` unless `after` names the own one in force."""
        fields = self.read(request, shapes.LabelCreateSerializer)
        scan = scan_or_404(request.user, fields["scan"], "scan.label")
        label = label_add(
            scan=scan,
            reader=request.user,
            said=shapes.said_of(fields),
            blind=fields["blind"],
            after=fields["after"],
        )
        return Response(shapes.label_answer(label), status=201)


class ScanLabels(Resource):
    needs = {"GET": "scan.label"}

    @extend_schema(operation_id="scan_labels", responses=shapes.ScanLabelsSerializer)
    def get(self, request: Request, scan_id: UUID) -> Response:
        """What people said of one scan, newest first, and what is taken for true of it."""
        scan = scan_by_id(request.user, scan_id, "scan.label")
        labels = list(labels_visible(request.user).filter(scan=scan))
        whole = len(labels) == scan.labels.count()
        reference = ground_truth(site=scan.site, scans=[scan.pk]).get(scan.pk, {}) if whole else None
        return Response({"reference": reference, "results": [shapes.label_answer(one) for one in labels]})


class LabelExport(Resource):
    needs = {"GET": "label.manage"}
    renderer_classes = [CsvRenderer, JSONRenderer]

    @extend_schema(
        operation_id="labels_export",
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="one label a line")},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """The site's labels as CSV, without a patient's name or identifier.

        The header X-Hilum-Left-Out tells how many are left out, since a queue may still ask the caller.
        """
        labels, left_out = import_export.labels_to_export(request.user, self.site)
        import_export.export_recorded(actor=request.user, site=self.site, count=labels.count())
        response = StreamingHttpResponse(import_export.lines(labels), content_type="text/csv; charset=utf-8")
        response["X-Hilum-Left-Out"] = str(left_out)
        return response


class LabelImport(Resource):
    needs = {"POST": "label.manage"}
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="labels_import",
        request={"multipart/form-data": shapes.TableSerializer},
        responses=shapes.ReportSerializer,
    )
    def post(self, request: Request) -> Response:
        """Take labels in, all or none; what is known already changes nothing. Columns as in the export."""
        fields = table_of(request, shapes.TableSerializer)
        dry_run, data = fields["dry_run"], fields["file"].read()
        report = import_export.labels_import(site=self.site, actor=request.user, data=data, dry_run=dry_run)
        return Response(shapes.report_answer(report, dry_run=dry_run))


class ManifestCollection(Listing):
    needs = {"GET": "label.manage", "POST": "label.manage"}
    parser_classes = [MultiPartParser]
    queryset = Manifest.objects.none()

    def rows(self) -> Any:
        return manifests_visible(self.request.user)

    def answer(self, rows: list[Manifest]) -> list[dict[str, Any]]:
        counts = progress_of(rows)
        return [shapes.manifest_answer(one, counts[one.pk]) for one in rows]

    @extend_schema(operation_id="manifests_list", responses=shapes.ManifestSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Manifests that were taken in as history."""
        return self.listed(request)

    @extend_schema(
        operation_id="manifest_import",
        request={"multipart/form-data": shapes.ManifestTableSerializer},
        responses={
            201: shapes.ManifestSerializer,
            200: OpenApiResponse(shapes.ReportSerializer, description="what a dry run tells"),
        },
    )
    def post(self, request: Request) -> Response:
        """Take a manifest in as history: images that are here, or come later, get their lines' labels."""
        fields = table_of(request, shapes.ManifestTableSerializer)
        data = fields["file"].read()
        if fields["dry_run"]:
            return Response(shapes.report_answer(manifest_parse(data)[1], dry_run=True))
        manifest = manifest_import(
            site=self.site,
            actor=request.user,
            name=fields["name"] or fields["file"].name,
            data=data,
            day_zero=fields.get("day_zero"),
        )
        return Response(shapes.manifest_answer(manifest, progress_of([manifest])[manifest.pk]), status=201)


class ManifestDetail(Resource):
    needs = {"GET": "label.manage"}

    @extend_schema(operation_id="manifest_retrieve", responses=shapes.ManifestDetailSerializer)
    def get(self, request: Request, manifest_id: UUID) -> Response:
        """How far a manifest has come, and which of its lines are wrong or wait for their image."""
        manifest = _manifest(request, manifest_id)
        missing = Q(status=LineStatus.FAILED) | Q(status=LineStatus.WAITING, upload=None)
        lines = manifest.lines.filter(missing).values_list("number", "status", "problem")[:OPEN_LINES]
        told = [{"line": n, "status": status, "problem": problem or None} for n, status, problem in lines]
        return Response(
            shapes.manifest_answer(manifest, progress_of([manifest])[manifest.pk]) | {"open_lines": told}
        )


class ManifestImage(Resource):
    needs = {"POST": "label.manage"}
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="manifest_image",
        request={"multipart/form-data": shapes.LineImageSerializer},
        responses={201: shapes.LineUploadSerializer},
    )
    def post(self, request: Request, manifest_id: UUID) -> Response:
        """Hand in the image of a line, as any upload of its patient; wants the scope scan.upload too."""
        manifest = _manifest(request, manifest_id)
        with bounded(request):
            form = shapes.LineImageSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        line = manifest.lines.filter(number=form.validated_data["line"]).first()
        if line is None:
            raise CodedError("not_found", "The manifest has no such line.")
        file = form.validated_data["file"]
        upload = line_upload(line=line, actor=request.user, chunks=file.chunks(), filename=file.name)
        return Response({"upload": upload.pk, "status": upload.status}, status=201)


def table_of(request: Request, serializer: type) -> dict[str, Any]:
    """The fields of a multipart body with a table; raises what `bounded` raises."""
    with bounded(request):
        form = serializer(data=request.data)
    form.is_valid(raise_exception=True)
    if form.validated_data["file"].size > import_export.MAX_BYTES:
        raise CodedError("too_large", "The table is larger than is accepted.", "Split it.")
    return form.validated_data


def _manifest(request: Request, manifest_id: UUID) -> Manifest:
    manifest = manifests_visible(request.user).filter(pk=manifest_id).first()
    if manifest is None:
        raise CodedError("not_found")
    return manifest
