"""Labels and imported labelled data (manifests)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiResponse
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from classifier.data.tables.manifest import Reading
from webapp.api.examples import LABEL_EXAMPLE
from webapp.api.filters import LabelFilter
from webapp.api.resource import ListResource, Resource, file_renderer
from webapp.api.schema import file_response, operation
from webapp.api.serializers.labels import (
    OPEN_LINES,
    ImportReportSerializer,
    LabelCreateSerializer,
    LabelImportSerializer,
    LabelSerializer,
    LineImageSerializer,
    LineUploadSerializer,
    ManifestDetailSerializer,
    ManifestImportSerializer,
    ManifestSerializer,
    ScanLabelsSerializer,
    statement_of,
)
from webapp.api.views.scans import scan_by_id
from webapp.core.errors import CodedError
from webapp.core.queries import get_or_404
from webapp.core.spreadsheets import check_size
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


class LabelCollection(ListResource):
    """List labels, newest first.

    Labels by others are left out for a scan that a queue may still ask the caller for.
    """

    name = "labels_list"
    needs = {"GET": "scan.label", "POST": "scan.label"}
    queryset = Label.objects.none()
    filterset_class = LabelFilter
    serializer_class = LabelSerializer
    find = labels_visible

    @operation(
        "label_create", body=LabelCreateSerializer, returns={201: LabelSerializer}, examples=[LABEL_EXAMPLE]
    )
    def post(self, request: Request) -> Response:
        """Label a scan outside of a queue.

        409 `conflict` unless `after` names the caller's current label of the scan, if there is one.
        """
        fields = self.read()
        label = label_add(
            scan=scan_or_404(request.user, fields["scan"], "scan.label"),
            reader=request.user,
            content=statement_of(fields),
            blind=fields["blind"],
            after=fields["after"],
        )
        return Response(LabelSerializer(label).data, status=201)


class ScanLabels(Resource):
    needs = {"GET": "scan.label"}

    @operation("scan_labels", returns=ScanLabelsSerializer)
    def get(self, request: Request, scan_id: UUID) -> Response:
        """Get the labels of a scan, newest first, and its ground truth."""
        scan = scan_by_id(request.user, scan_id, "scan.label")
        labels = list(labels_visible(request.user).filter(scan=scan))
        complete = len(labels) == scan.labels.count()
        found = ground_truth(site=scan.site, scans=[scan.pk]).get(scan.pk, {}) if complete else None
        page = {"next": None, "previous": None, "count": len(labels), "results": labels}
        return Response(ScanLabelsSerializer({"ground_truth": found} | page).data)


class LabelExport(Resource):
    needs = {"GET": "label.manage"}
    renderer_classes = [file_renderer("text/csv"), JSONRenderer]

    @operation("labels_export", returns=file_response("text/csv", "one label per line"))
    def get(self, request: Request) -> StreamingHttpResponse:
        """Export the site's labels as CSV, without patient names or IDs.

        Labels of scans that a queue may still ask the caller for are left out; the header X-Hilum-Left-Out
        states their number.
        """
        labels, left_out = import_export.labels_to_export(request.user, self.site)
        import_export.export_recorded(actor=request.user, site=self.site, count=labels.count())
        response = StreamingHttpResponse(import_export.lines(labels), content_type="text/csv; charset=utf-8")
        response["X-Hilum-Left-Out"] = str(left_out)
        return response


class TableResource(Resource):
    parser_classes = [MultiPartParser]

    def read_table(self) -> tuple[dict[str, Any], bytes]:
        fields = self.read()
        check_size(fields["file"].size)
        return fields, fields["file"].read()


class LabelImport(TableResource):
    needs = {"POST": "label.manage"}

    @operation("labels_import", body=LabelImportSerializer, returns=ImportReportSerializer)
    def post(self, request: Request) -> Response:
        """Import labels from CSV, all or none.

        Columns are those of the export. Labels that are there already change nothing.
        """
        fields, data = self.read_table()
        dry_run = fields["dry_run"]
        report = import_export.labels_import(
            site=self.site, actor=request.user, data=data, name=fields["file"].name, dry_run=dry_run
        )
        return Response(ImportReportSerializer(report, context={"dry_run": dry_run}).data)


class ManifestCollection(ListResource, TableResource):
    """List imported labelled data, newest first."""

    name = "manifests_list"
    needs = {"GET": "label.manage", "POST": "label.manage"}
    queryset = Manifest.objects.none()
    serializer_class = ManifestSerializer
    find = manifests_visible

    def represent(self, rows: list[Manifest]) -> Any:
        return ManifestSerializer(with_progress(rows), many=True).data

    @operation(
        "manifest_import",
        body=ManifestImportSerializer,
        returns={
            201: ManifestSerializer,
            200: OpenApiResponse(ImportReportSerializer, description="Report of a dry run"),
        },
    )
    def post(self, request: Request) -> Response:
        """Import labelled data from a manifest.

        Images that are at the site, or are uploaded later, get the labels of their lines.
        """
        fields, data = self.read_table()
        reading = Reading(fields["date_order"], fields["encoding"])
        if fields["dry_run"]:
            parsed = manifest_parse(data, site=self.site, name=fields["file"].name, reading=reading)
            return Response(ImportReportSerializer(parsed.report, context={"dry_run": True}).data)
        manifest = manifest_import(
            site=self.site,
            actor=request.user,
            name=fields["name"] or fields["file"].name,
            data=data,
            day_zero=fields.get("day_zero"),
            reading=reading,
        )
        return Response(self.represent([manifest])[0], status=201)


class ManifestDetail(Resource):
    needs = {"GET": "label.manage"}

    @operation("manifest_retrieve", returns=ManifestDetailSerializer)
    def get(self, request: Request, manifest_id: UUID) -> Response:
        """Get imported labelled data, and its lines that failed or wait for their image."""
        (manifest,) = with_progress([_manifest(request, manifest_id)])
        missing = Q(status=LineStatus.FAILED) | Q(status=LineStatus.WAITING, upload=None)
        manifest.open_lines = manifest.lines.filter(missing)[:OPEN_LINES]
        return Response(ManifestDetailSerializer(manifest).data)


class ManifestImage(Resource):
    needs = {"POST": "label.manage"}
    parser_classes = [MultiPartParser]

    @operation("manifest_image", body=LineImageSerializer, returns={201: LineUploadSerializer})
    def post(self, request: Request, manifest_id: UUID) -> Response:
        """Upload the image of a line; needs the scope `scan.upload` too."""
        manifest = _manifest(request, manifest_id)
        fields = self.read()
        line = manifest.lines.filter(number=fields["line"]).first()
        if line is None:
            raise CodedError("not_found", "The manifest has no such line.")
        file = fields["file"]
        upload = line_upload(line=line, actor=request.user, chunks=file.chunks(), filename=file.name)
        return Response(LineUploadSerializer(upload).data, status=201)


def with_progress(manifests: list[Manifest]) -> list[Manifest]:
    progress = progress_of(manifests)
    for manifest in manifests:
        manifest.progress = progress[manifest.pk]
    return manifests


def _manifest(request: Request, manifest_id: UUID) -> Manifest:
    return get_or_404(manifests_visible(request.user), manifest_id)
