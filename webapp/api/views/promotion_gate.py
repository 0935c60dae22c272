"""Between candidate and active model, over HTTP: comparisons, the gate's policy, the shadow, the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import for_sites
from webapp.analysis.shadow import agreement
from webapp.api.filters import ComparisonFilter
from webapp.api.resource import Listing, Resource
from webapp.api.serializers import models as shapes
from webapp.api.serializers import training as forms
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.registry.comparisons import comparison_request, policy_set
from webapp.registry.models import Comparison, ModelStatus, PromotionPolicy
from webapp.registry.promotion_gate import scan_in
from webapp.registry.selectors import (
    active_models,
    comparison_or_404,
    comparisons_visible,
    gate_status,
    model_or_404,
)
from webapp.registry.services import model_import, model_rollback, shadow_set
from webapp.scans.models import Scan
from webapp.scans.uploads.files import receive
from webapp.training.selectors import snapshot_or_404


class FileRenderer(BaseRenderer):
    """So that a caller may ask for the file; the view hands out the bytes itself."""

    media_type, format, charset, render_style = "application/octet-stream", "bin", None, "binary"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return data


class ModelRollback(Resource):
    needs = {"POST": "model.promote"}

    @extend_schema(
        operation_id="model_rollback",
        request=forms.RollbackSerializer,
        responses={201: shapes.PromotionSerializer},
    )
    def post(self, request: Request, model_id: UUID) -> Response:
        """From this version, the active one, back to the one before it: another promotion."""
        version = model_or_404(request.user, model_id)
        reason = self.read(request, forms.RollbackSerializer)["reason"]
        if version.status != ModelStatus.ACTIVE:
            raise CodedError("conflict", "This model is not the active one.")
        promotion = model_rollback(slot=version.slot, by=request.user, reason=reason)
        return Response(shapes.promotion_answer(promotion), status=201)


class ModelStanding(Resource):
    needs = {"GET": "model.view"}

    @extend_schema(operation_id="model_standing", responses=forms.StandingSerializer)
    def get(self, request: Request, model_id: UUID) -> Response:
        """Whether the gate lets the version pass beside the model that is active now."""
        version = model_or_404(request.user, model_id)
        standing, row = gate_status(version, active_models().get(version.slot))
        told = forms.comparison_answer(row) if row else None
        return Response({"standing": standing.value, "comparison": told})


class ModelCompare(Resource):
    needs = {"POST": "training.start"}

    @extend_schema(
        operation_id="model_compare",
        request=forms.CompareSerializer,
        responses={202: forms.ComparisonSerializer},
    )
    def post(self, request: Request, model_id: UUID) -> Response:
        """Have a candidate judged beside the active model on a snapshot's frozen test part."""
        version = model_or_404(request.user, model_id)
        key = self.read(request, forms.CompareSerializer)["snapshot"]
        snapshot = snapshot_or_404(request.user, key)
        row = comparison_request(
            candidate=version,
            manifest_name=snapshot.stored_name,
            fingerprint=snapshot.fingerprint,
            site=snapshot.site,
            by=request.user,
        )
        return Response(forms.comparison_answer(row), status=202)


class ModelShadow(Resource):
    needs = {"GET": "model.view", "POST": "model.promote"}

    @extend_schema(operation_id="model_agreement", responses=forms.ShadowAgreementSerializer)
    def get(self, request: Request, model_id: UUID) -> Response:
        """How the candidate's answers in the shadow go with the active model's."""
        version = model_or_404(request.user, model_id)
        return Response(forms.agreement_answer(version.shadow, agreement(version)))

    @extend_schema(
        operation_id="model_shadow", request=forms.ShadowSerializer, responses=forms.ShadowAgreementSerializer
    )
    def post(self, request: Request, model_id: UUID) -> Response:
        """Let a candidate score new scans where no reader sees it, or end that."""
        version = model_or_404(request.user, model_id)
        on = self.read(request, forms.ShadowSerializer)["on"]
        version = shadow_set(model_version=version, on=on, by=request.user)
        return Response(forms.agreement_answer(version.shadow, agreement(version)))


class ModelArtifact(Resource):
    needs = {"GET": "model.view"}
    renderer_classes = [FileRenderer, JSONRenderer]

    @extend_schema(
        operation_id="model_artifact",
        responses={
            (200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, description="safetensors")
        },
    )
    def get(self, request: Request, model_id: UUID) -> HttpResponse:
        """The model file; its sha256 stands in the model."""
        version = model_or_404(request.user, model_id)
        try:
            file = storage.open_file(version.stored_name)
        except FileNotFoundError as error:
            raise CodedError("artifact_damaged") from error
        return FileResponse(file, content_type="application/octet-stream", filename=f"{version}.safetensors")


class ModelCard(Resource):
    needs = {"GET": "model.view"}

    @extend_schema(operation_id="model_card", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, model_id: UUID) -> Response:
        """The model card: data, measures, limits."""
        return Response(model_or_404(request.user, model_id).card)


class ComparisonCollection(Listing):
    needs = {"GET": "model.view"}
    queryset = Comparison.objects.none()
    filterset_class = ComparisonFilter

    def rows(self) -> Any:
        return comparisons_visible(self.request.user).defer("report", "changes")

    def answer(self, rows: list[Comparison]) -> list[dict[str, Any]]:
        return [forms.comparison_answer(row) for row in rows]

    @extend_schema(operation_id="comparisons_list", responses=forms.ComparisonSerializer(many=True))
    def get(self, request: Request) -> Response:
        """What the gate has said of which candidate, newest first."""
        return self.listed(request)


class ComparisonDetail(Resource):
    needs = {"GET": "model.view"}

    @extend_schema(operation_id="comparison_retrieve", responses=forms.ComparisonDetailSerializer)
    def get(self, request: Request, comparison_id: UUID) -> Response:
        """A comparison with every number, and the scans whose answer would change."""
        row = comparison_or_404(request.user, comparison_id)
        keys = {scan_in(change["image"]) for change in row.changes} - {None}
        seen = set(
            for_sites(Scan.objects.filter(pk__in=keys), request.user, "scan.view").values_list(
                "pk", flat=True
            )
        )
        changes = [change_answer(change, seen) for change in row.changes]
        return Response(forms.comparison_answer(row) | {"report": row.report, "changes": changes})


def change_answer(change: Mapping[str, Any], seen: set[UUID]) -> dict[str, Any]:
    scan = scan_in(change["image"])
    return {
        "scan": scan if scan in seen else None,
        "truth": change["truth"],
        "before": change["from"],
        "after": change["to"],
    }


class PolicyCollection(Listing):
    needs = {"GET": "model.view", "POST": "promotion_policy.edit"}
    queryset = PromotionPolicy.objects.none()

    def rows(self) -> Any:
        return PromotionPolicy.objects.select_related("by")

    def answer(self, rows: list[PromotionPolicy]) -> list[dict[str, Any]]:
        return [forms.policy_answer(row) for row in rows]

    @extend_schema(operation_id="promotion_policies_list", responses=forms.PolicySerializer(many=True))
    def get(self, request: Request) -> Response:
        """The gate's written policy in its versions, newest first; empty while that of Hilum is in force."""
        return self.listed(request)

    @extend_schema(
        operation_id="promotion_policy_write",
        request=forms.PolicyWriteSerializer,
        responses={201: forms.PolicySerializer},
    )
    def post(self, request: Request) -> Response:
        """Put the next version in force, for every site; earlier verdicts keep theirs."""
        said = self.read(request, forms.PolicyWriteSerializer)
        row = policy_set(rules=said["rules"], by=request.user, reason=said["reason"])
        return Response(forms.policy_answer(row), status=201)


class PolicyCurrent(Resource):
    needs = {"GET": "model.view"}

    @extend_schema(operation_id="promotion_policy_current", responses=forms.PolicySerializer)
    def get(self, request: Request) -> Response:
        """The policy that the gate judges by now."""
        return Response(forms.policy_answer(PromotionPolicy.objects.select_related("by").first()))


def imported(request: Request, site: Any) -> dict[str, Any]:
    """Register the multipart `file` as a candidate of the site."""
    file = request.data.get("file")
    if not isinstance(file, UploadedFile):
        raise CodedError("invalid", fields={"file": ["A file is needed."]})
    received = receive(file.chunks())
    try:
        return shapes.model_row(model_import(path=received.path, site=site, by=request.user))
    finally:
        received.path.unlink(missing_ok=True)
