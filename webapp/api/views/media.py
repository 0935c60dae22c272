"""Images of a scan, analyses, and activation maps as numbers and drawn over the image."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.http import FileResponse, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_cache_control
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from classifier.contract import leading_finding
from webapp.accounts.services import for_sites
from webapp.analysis.models import Analysis
from webapp.api.fields import ANY_TEXT
from webapp.api.filters import AnalysisFilter
from webapp.api.resource import ListResource, Resource, etag_of, file_renderer
from webapp.api.schema import operation
from webapp.api.serializers.scans import AnalysisSerializer, CamSerializer
from webapp.api.views.scans import scan_by_id
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.core.queries import get_or_404
from webapp.labels.queue_progress import item_or_404
from webapp.scans.models import Scan

PNG = {(200, "image/png"): OpenApiResponse(OpenApiTypes.BINARY, description="the image")}
IMAGE_RENDERERS = [file_renderer("image/png"), JSONRenderer]


class ImageResource(Resource):
    needs = {"GET": "scan.view"}
    renderer_classes = IMAGE_RENDERERS
    kind = ""

    def image(self, scan: Scan) -> HttpResponse:
        name, sha256 = getattr(scan, f"{self.kind}_name"), getattr(scan, f"{self.kind}_sha256")
        return as_png(self.request, f'"{sha256}"', lambda: png_file(name))


class Preview(ImageResource):
    kind = "preview"

    @operation("scan_preview", returns=PNG)
    def get(self, request: Request, scan_id: UUID) -> HttpResponse:
        """Get a scan's image as 8-bit greyscale PNG, at most 1,024 pixels a side."""
        return self.image(scan_by_id(request.user, scan_id))


class Display(ImageResource):
    kind = "display"

    @operation("scan_display", returns=PNG)
    def get(self, request: Request, scan_id: UUID) -> HttpResponse:
        """Get a scan's image as 16-bit greyscale PNG in full resolution."""
        return self.image(scan_by_id(request.user, scan_id))


class CasePreview(ImageResource):
    needs = {"GET": "scan.label"}
    kind = "preview"

    @operation("label_case_preview", returns=PNG)
    def get(self, request: Request, item_id: UUID) -> HttpResponse:
        """Get a label case's image as 8-bit greyscale PNG, at most 1,024 pixels a side."""
        return self.image(item_or_404(request.user, item_id).scan)


class CaseDisplay(ImageResource):
    needs = {"GET": "scan.label"}
    kind = "display"

    @operation("label_case_display", returns=PNG)
    def get(self, request: Request, item_id: UUID) -> HttpResponse:
        """Get a label case's image as 16-bit greyscale PNG in full resolution."""
        return self.image(item_or_404(request.user, item_id).scan)


class AnalysisCollection(ListResource):
    """List analyses, newest first, without activation maps (`cam` is null)."""

    name = "analyses_list"
    needs = {"GET": "scan.view"}
    queryset = Analysis.objects.none()
    serializer_class = AnalysisSerializer
    filterset_class = AnalysisFilter

    def rows(self) -> Any:
        return analyses_visible(self.request)

    def represent(self, rows: list[Analysis]) -> Any:
        return AnalysisSerializer(rows, many=True, context={"maps": False}).data


class AnalysisDetail(Resource):
    needs = {"GET": "scan.view"}

    @operation("analysis_retrieve", returns=AnalysisSerializer)
    def get(self, request: Request, analysis_id: UUID) -> Response:
        """Get an analysis with its activation maps."""
        return Response(AnalysisSerializer(analysis_or_404(request, analysis_id)).data)


class AnalysisCam(Resource):
    needs = {"GET": "scan.view"}

    @operation("analysis_cam", returns=CamSerializer)
    def get(self, request: Request, analysis_id: UUID) -> Response:
        """Get the activation maps of an analysis: a grid per finding, its geometry and its scale."""
        return Response(CamSerializer(cam_of(analysis_or_404(request, analysis_id))).data)


class AnalysisOverlay(Resource):
    needs = {"GET": "scan.view"}
    renderer_classes = IMAGE_RENDERERS
    params = ("finding", "opacity")

    @operation(
        "analysis_overlay",
        parameters=[
            OpenApiParameter(
                "finding",
                {"type": "string", "minLength": 1, "pattern": ANY_TEXT},
                description="default: the reported or most relevant one; 404 if the model does not know it",
            ),
            OpenApiParameter(
                "opacity",
                {"type": "number", "minimum": 0, "maximum": 1, "default": 1},
                description="opacity of the map, 0 to 1",
            ),
        ],
        returns=PNG,
    )
    def get(self, request: Request, analysis_id: UUID) -> HttpResponse:
        """Get the activation map of a finding drawn over the image, as PNG.

        The colour scale is the model's own and fixed, so a weak map looks weak. A withheld result is not
        drawn (409 `not_ready`); its numbers are at `cam/`.
        """
        opacity = _opacity(request.query_params.get("opacity", "1"))
        analysis = analysis_or_404(request, analysis_id)
        cam = cam_of(analysis)
        if analysis.withheld:
            raise CodedError(
                "not_ready", "The model withheld its result on this image.", "Read it without the model."
            )
        finding = request.query_params.get("finding") or leading_finding(
            analysis.finding, analysis.probabilities
        )
        if finding not in cam["grids"]:
            raise CodedError(
                "not_found", "The model does not know this finding.", "GET cam/ for the findings it knows."
            )
        etag = etag_of(f"{analysis.pk} {finding} {opacity} {analysis.scan.preview_sha256}".encode())
        return as_png(request, etag, lambda: _drawn(analysis, cam, finding, opacity))


def analyses_visible(request: Request) -> Any:
    # A condition, not a join: the newest are found by their index, whatever the database estimates of sites.
    visible = for_sites(Scan.objects.filter(pk=OuterRef("scan")), request.user, "scan.view")
    return Analysis.objects.filter(Exists(visible)).prefetch_related("model_version")


def analysis_or_404(request: Request, analysis_id: UUID) -> Analysis:
    return get_or_404(analyses_visible(request).select_related("stored_cam", "scan"), analysis_id)


def cam_of(analysis: Analysis) -> dict[str, Any]:
    stored = getattr(analysis, "stored_cam", None)
    if stored is None:
        raise CodedError("not_ready")
    return stored.cam


def as_png(request: Request, etag: str, make: Any) -> HttpResponse:
    """The image, or 304 for a caller who has it."""
    response = HttpResponseNotModified() if etag in request.headers.get("If-None-Match", "") else make()
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    return response


def png_file(name: str) -> FileResponse:
    return FileResponse(storage.opened(name, "The image"), content_type="image/png")


def _drawn(analysis: Analysis, cam: dict[str, Any], finding: str, opacity: float) -> HttpResponse:
    from webapp.api.overlay import overlay_png

    scan = analysis.scan
    title = f"{finding} {analysis.probabilities[finding]:.2f}, model {analysis.model_version}"
    with storage.opened(scan.preview_name, "The image") as preview:
        png = overlay_png(
            preview, cam, finding, rows=scan.rows, columns=scan.columns, opacity=opacity, title=title
        )
    return HttpResponse(png, content_type="image/png")


def _opacity(text: str) -> float:
    try:
        value = float(text) if len(text) < 40 else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise CodedError("invalid", fields={"opacity": ["Must be a number from 0 to 1."]})
    return value
