"""Images of a scan, analyses, activation maps as numbers, drawn over the image, and by other methods."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.http import FileResponse, HttpResponse, HttpResponseNotModified
from django.urls import reverse
from django.utils.cache import patch_cache_control
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from classifier.contract import RELATIVE, leading_finding
from webapp.accounts.services import for_sites
from webapp.analysis.explanations import explanation_of, explanation_request
from webapp.analysis.models import Analysis
from webapp.analysis.selectors import analysis_or_404
from webapp.api.fields import ANY_TEXT
from webapp.api.filters import AnalysisFilter
from webapp.api.resource import DetailResource, ListResource, Resource, SinglePage, etag_of, file_renderer
from webapp.api.schema import file_response, operation
from webapp.api.serializers.scans import (
    AnalysisSerializer,
    CamSerializer,
    ExplanationCreateSerializer,
    ExplanationSerializer,
)
from webapp.api.views.scans import scan_by_id
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.core.jobs.table import JobStatus
from webapp.labels.models import QueueItem
from webapp.labels.queue_progress import held_or_404
from webapp.scans.models import Scan

PNG = file_response("image/png", "the image")
IMAGE_RENDERERS = [file_renderer("image/png"), JSONRenderer]


class ImageResource(DetailResource):
    renderer_classes = IMAGE_RENDERERS
    kind = ""

    @extend_schema(responses=PNG)
    def get(self, request: Request, **keys: UUID) -> HttpResponse:
        found = self.found()
        scan = found.scan if isinstance(found, QueueItem) else found
        name, sha256 = getattr(scan, f"{self.kind}_name"), getattr(scan, f"{self.kind}_sha256")
        return as_png(request, f'"{sha256}"', lambda: png_file(name))


class Preview(ImageResource):
    """Get a scan's image as 8-bit greyscale PNG, at most 1,024 pixels a side."""

    needs = {"GET": "scan.view"}
    name, find, kind = "scan_preview", scan_by_id, "preview"


class Display(ImageResource):
    """Get a scan's image as 16-bit greyscale PNG in full resolution."""

    needs = {"GET": "scan.view"}
    name, find, kind = "scan_display", scan_by_id, "display"


class CasePreview(ImageResource):
    """Get the image of a label case that you hold as 8-bit greyscale PNG, at most 1,024 pixels a side."""

    needs = {"GET": "scan.label"}
    name, find, kind = "label_case_preview", held_or_404, "preview"


class CaseDisplay(ImageResource):
    """Get the image of a label case that you hold as 16-bit greyscale PNG in full resolution."""

    needs = {"GET": "scan.label"}
    name, find, kind = "label_case_display", held_or_404, "display"


class AnalysisCollection(ListResource):
    """List analyses, newest first, without activation maps (`cam` is null)."""

    name = "analyses_list"
    needs = {"GET": "scan.view"}
    queryset = Analysis.objects.none()
    serializer_class = AnalysisSerializer
    filterset_class = AnalysisFilter

    def rows(self) -> Any:
        # A condition, not a join: the newest are found by their index, however many scans a site has.
        visible = for_sites(Scan.objects.filter(pk=OuterRef("scan")), self.request.user, "scan.view")
        return Analysis.objects.filter(Exists(visible)).prefetch_related("model_version", "calibration")

    def represent(self, rows: list[Analysis]) -> Any:
        return AnalysisSerializer(rows, many=True, context={"maps": False}).data


class AnalysisDetail(DetailResource):
    """Get an analysis with its activation maps."""

    needs = {"GET": "scan.view"}
    name, find, serializer_class = "analysis_retrieve", analysis_or_404, AnalysisSerializer


class AnalysisCam(Resource):
    needs = {"GET": "scan.view"}

    @operation("analysis_cam", returns=CamSerializer)
    def get(self, request: Request, analysis_id: UUID) -> Response:
        """Get the activation maps of an analysis: a grid per finding, its geometry and its scale."""
        return Response(CamSerializer(cam_of(analysis_or_404(request.user, analysis_id))).data)


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
        analysis = analysis_or_404(request.user, analysis_id)
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
    if analysis.calibration:
        title += f", {analysis.calibration}"
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


METHOD = OpenApiParameter(
    "method",
    {"type": "string", "enum": list(RELATIVE)},
    location=OpenApiParameter.PATH,
    description="explanation method",
)


class ExplanationCollection(SinglePage):
    needs = {"GET": "scan.view", "POST": "scan.view"}
    serializer_class = ExplanationSerializer

    @operation("analysis_explanations", returns=ExplanationSerializer(many=True))
    def get(self, request: Request, analysis_id: UUID) -> Response:
        """List the requested explanations of an analysis, without maps (`cam` is null)."""
        analysis = analysis_or_404(request.user, analysis_id)
        explanations = list(analysis.explanations.select_related("analysis").order_by("created_at", "pk"))
        for explanation in explanations:
            explanation.cam = None
        return self.listed(explanations)

    @operation(
        "analysis_explain",
        body=ExplanationCreateSerializer,
        returns={
            202: OpenApiResponse(ExplanationSerializer, description="It is queued or running"),
            200: OpenApiResponse(ExplanationSerializer, description="It was made before"),
        },
    )
    def post(self, request: Request, analysis_id: UUID) -> Response:
        """Request the maps of an analysis by another method.

        They are made once; a failed request is retried. Follow `Location` for the result.
        """
        analysis = analysis_or_404(request.user, analysis_id)
        method = self.read()["method"]
        found = explanation_request(analysis=analysis, method=method, actor=request.user)
        return Response(
            ExplanationSerializer(found).data,
            status=200 if found.status == JobStatus.DONE else 202,
            headers={"Location": reverse("api-analysis-explanation", args=[analysis.pk, found.method])},
        )


class ExplanationDetail(Resource):
    needs = {"GET": "scan.view"}

    @operation("analysis_explanation", parameters=[METHOD], returns=ExplanationSerializer)
    def get(self, request: Request, analysis_id: UUID, method: str) -> Response:
        """Get an explanation, with its maps once they are done; 404 until it is requested."""
        found = explanation_of(analysis_or_404(request.user, analysis_id), method)
        if found is None:
            raise CodedError(
                "not_found", "This map was not requested yet.", "POST its method to explanations/."
            )
        return Response(ExplanationSerializer(found).data)
