"""Activation maps by other explanation methods: requested, computed by a worker, fetched."""

from __future__ import annotations

from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from classifier.contract import RELATIVE
from webapp.analysis.explanations import explanation_of, explanation_request
from webapp.api.resource import Resource, SinglePage
from webapp.api.schema import operation
from webapp.api.serializers.explanations import ExplanationCreateSerializer, ExplanationSerializer
from webapp.api.views.media import analysis_or_404
from webapp.core.errors import CodedError
from webapp.core.jobs.table import JobStatus

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
        analysis = analysis_or_404(request, analysis_id)
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
        analysis = analysis_or_404(request, analysis_id)
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
        found = explanation_of(analysis_or_404(request, analysis_id), method)
        if found is None:
            raise CodedError(
                "not_found", "This map was not requested yet.", "POST its method to explanations/."
            )
        return Response(ExplanationSerializer(found).data)
