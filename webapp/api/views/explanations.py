"""Maps by other explainers: asked for, made by the worker, fetched."""

from __future__ import annotations

from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from classifier.contract import RELATIVE
from webapp.analysis.explanations import explanation_of, explanation_request
from webapp.analysis.models import AnalysisStatus
from webapp.api.resource import Resource
from webapp.api.serializers.explanations import (
    ExplanationRequestSerializer,
    ExplanationSerializer,
    explanation_answer,
)
from webapp.api.views.media import analysis_or_404
from webapp.core.errors import CodedError


class ExplanationCollection(Resource):
    needs = {"GET": "scan.view", "POST": "scan.view"}

    @extend_schema(operation_id="analysis_explanations", responses=ExplanationSerializer(many=True))
    def get(self, request: Request, analysis_id: UUID) -> Response:
        """What was asked for of other explainers, one a method; `cam` is null here: ask for the one."""
        analysis = analysis_or_404(request, analysis_id)
        asked = analysis.explanations.select_related("analysis").order_by("created_at", "pk")
        return Response([explanation_answer(one, maps=False) for one in asked])

    @extend_schema(
        operation_id="analysis_explain",
        request=ExplanationRequestSerializer,
        responses={
            202: OpenApiResponse(ExplanationSerializer, description="It is, or will be, under way"),
            200: OpenApiResponse(ExplanationSerializer, description="It was made before"),
        },
    )
    def post(self, request: Request, analysis_id: UUID) -> Response:
        """Have the maps made by another explainer, once; what failed is tried again. See `Location`."""
        analysis = analysis_or_404(request, analysis_id)
        fields = self.read(request, ExplanationRequestSerializer)
        found = explanation_request(analysis=analysis, method=fields["method"], actor=request.user)
        done = found.status == AnalysisStatus.DONE
        where = reverse("api-analysis-explanation", args=[analysis.pk, found.method])
        return Response(
            explanation_answer(found),
            status=status.HTTP_200_OK if done else status.HTTP_202_ACCEPTED,
            headers={"Location": where},
        )


class ExplanationDetail(Resource):
    needs = {"GET": "scan.view"}

    @extend_schema(
        operation_id="analysis_explanation",
        parameters=[
            OpenApiParameter(
                "method", {"type": "string", "enum": list(RELATIVE)}, location=OpenApiParameter.PATH
            )
        ],
        responses=ExplanationSerializer,
    )
    def get(self, request: Request, analysis_id: UUID, method: str) -> Response:
        """How the maps by a method stand, with the maps once they are done; 404 until they are asked for."""
        found = explanation_of(analysis_or_404(request, analysis_id), method)
        if found is None:
            raise CodedError("not_found", "Nobody has asked for this map.", "POST its method first.")
        return Response(explanation_answer(found))
