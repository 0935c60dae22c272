"""Images of a scan, and the activation maps of an analysis as numbers and drawn over the image."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.http import FileResponse, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_cache_control
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from classifier.contract import leading_finding
from webapp.accounts.services import for_sites
from webapp.analysis.models import Analysis
from webapp.api.fields import ANYTHING
from webapp.api.filters import AnalysisFilter
from webapp.api.resource import Listing, Resource, etag_of
from webapp.api.serializers.scans import AnalysisSerializer, CamSerializer, analysis_answers
from webapp.api.views.scans import scan_by_id
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import Scan

IMAGE = "The image"
PNG = {(200, "image/png"): OpenApiResponse(OpenApiTypes.BINARY, description="the image")}


class PngRenderer(BaseRenderer):
    """So that a caller may ask for image/png; our views hand out the bytes themselves."""

    media_type, format, charset, render_style = "image/png", "png", None, "binary"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return data


class Image(Resource):
    needs = {"GET": "scan.view"}
    renderer_classes = [PngRenderer, JSONRenderer]
    kind = ""

    def image(self, request: Request, scan_id: UUID) -> HttpResponse:
        scan = scan_by_id(request.user, scan_id)
        name, sha256 = getattr(scan, f"{self.kind}_name"), getattr(scan, f"{self.kind}_sha256")
        return as_png(request, f'"{sha256}"', lambda: png_file(name))


class Preview(Image):
    kind = "preview"

    @extend_schema(operation_id="scan_preview", responses=PNG)
    def get(self, request: Request, scan_id: UUID) -> HttpResponse:
        """The scan's image, 8-bit grey, at most 1,024 pixels a side."""
        return self.image(request, scan_id)


class Display(Image):
    kind = "display"

    @extend_schema(operation_id="scan_display", responses=PNG)
    def get(self, request: Request, scan_id: UUID) -> HttpResponse:
        """The scan's image, 16-bit grey, in full resolution."""
        return self.image(request, scan_id)


class AnalysisCollection(Listing):
    needs = {"GET": "scan.view"}
    queryset = Analysis.objects.none()
    filterset_class = AnalysisFilter

    def rows(self) -> Any:
        return analyses_visible(self.request)

    def answer(self, rows: list[Analysis]) -> list[dict[str, Any]]:
        return analysis_answers(rows, maps=False)

    @extend_schema(operation_id="analyses_list", responses=AnalysisSerializer(many=True))
    def get(self, request: Request) -> Response:
        """One model version applied to one scan each, newest first; `cam` is null here: ask for the one."""
        return self.listed(request)


class AnalysisDetail(Resource):
    needs = {"GET": "scan.view"}

    @extend_schema(operation_id="analysis_retrieve", responses=AnalysisSerializer)
    def get(self, request: Request, analysis_id: UUID) -> Response:
        """An analysis with its activation maps."""
        return Response(analysis_answers([analysis_or_404(request, analysis_id)])[0])


class AnalysisCam(Resource):
    needs = {"GET": "scan.view"}

    @extend_schema(operation_id="analysis_cam", responses=CamSerializer)
    def get(self, request: Request, analysis_id: UUID) -> Response:
        """The activation maps alone: a grid of logits a finding, its geometry and its scale."""
        return Response(cam_of(analysis_or_404(request, analysis_id)))


class AnalysisOverlay(Resource):
    needs = {"GET": "scan.view"}
    renderer_classes = [PngRenderer, JSONRenderer]
    params = ("finding", "opacity")

    @extend_schema(
        operation_id="analysis_overlay",
        parameters=[
            OpenApiParameter(
                "finding",
                {"type": "string", "minLength": 1, "pattern": ANYTHING},
                description="left out: the one worth showing; 404 for one that the model does not know",
            ),
            OpenApiParameter("opacity", {"type": "number", "minimum": 0, "maximum": 1, "default": 1}),
        ],
        responses=PNG,
    )
    def get(self, request: Request, analysis_id: UUID) -> HttpResponse:
        """The map of a finding drawn over the preview, on the model's fixed scale: weak looks weak.

        An answer that is withheld is not drawn (409 `not_ready`); its numbers are at `cam/`.
        """
        opacity = _opacity(request.query_params.get("opacity", "1"))
        analysis = analysis_or_404(request, analysis_id)
        cam = cam_of(analysis)
        if analysis.withheld:
            raise CodedError(
                "not_ready", "The model gave no answer on this image.", "Read it without the model."
            )
        finding = request.query_params.get("finding") or leading_finding(
            analysis.finding, analysis.probabilities
        )
        if finding not in cam["grids"]:
            raise CodedError("not_found", "The model knows no such finding.", "See the map's own: cam/.")
        etag = etag_of(f"{analysis.pk} {finding} {opacity} {analysis.scan.preview_sha256}".encode())
        return as_png(request, etag, lambda: _drawn(analysis, cam, finding, opacity))


def analyses_visible(request: Request) -> Any:
    # A condition, not a join: the newest are found by their index, whatever the database thinks of the sites.
    seen = for_sites(Scan.objects.filter(pk=OuterRef("scan")), request.user, "scan.view")
    return Analysis.objects.filter(Exists(seen)).prefetch_related("model_version")


def analysis_or_404(request: Request, analysis_id: UUID) -> Analysis:
    analyses = analyses_visible(request).select_related("stored_cam", "scan")
    analysis = analyses.filter(pk=analysis_id).first()
    if analysis is None:
        raise CodedError("not_found")
    return analysis


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
    return FileResponse(storage.opened(name, IMAGE), content_type="image/png")


def _drawn(analysis: Analysis, cam: dict[str, Any], finding: str, opacity: float) -> HttpResponse:
    from webapp.api.overlay import overlay_png

    scan = analysis.scan
    title = f"{finding} {analysis.probabilities[finding]:.2f}, model {analysis.model_version}"
    with storage.opened(scan.preview_name, IMAGE) as preview:
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
        raise CodedError("invalid", fields={"opacity": ["A number from 0 to 1 is needed."]})
    return value
