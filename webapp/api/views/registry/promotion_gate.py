"""The promotion gate: comparisons, its policy, shadow mode."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import for_sites, signed_in
from webapp.analysis.shadow import agreement
from webapp.api.filters import ComparisonFilter
from webapp.api.resource import ListResource, Resource
from webapp.api.schema import operation
from webapp.api.serializers.models import (
    CompareSerializer,
    ComparisonDetailSerializer,
    ComparisonSerializer,
    PolicyCreateSerializer,
    PolicySerializer,
    PromotionGateSerializer,
    ShadowAgreementSerializer,
    ShadowModeSerializer,
    comparison_scans,
)
from webapp.registry.comparisons import comparison_request, policy_set
from webapp.registry.models import Comparison, ModelVersion, PromotionPolicy
from webapp.registry.selectors import (
    active_models,
    comparison_or_404,
    comparisons_visible,
    model_or_404,
    promotion_status,
)
from webapp.registry.services import shadow_set
from webapp.scans.models import Scan
from webapp.training.selectors import snapshot_or_404


class ModelPromotionGate(Resource):
    needs = {"GET": "model.view"}

    @operation("model_promotion_gate", returns=PromotionGateSerializer)
    def get(self, request: Request, model_id: UUID) -> Response:
        """Get the verdict of the promotion gate on a version, against the model that is active now."""
        version = model_or_404(signed_in(request.user), model_id)
        status, comparison = promotion_status(version, active_models().get(version.slot))
        return Response(PromotionGateSerializer({"status": status, "comparison": comparison}).data)


class ModelCompare(Resource):
    needs = {"POST": "training.start"}

    @operation("model_compare", body=CompareSerializer, returns={202: ComparisonSerializer})
    def post(self, request: Request, model_id: UUID) -> Response:
        """Compare a candidate with the active model on the test set of a snapshot."""
        version = model_or_404(signed_in(request.user), model_id)
        snapshot = snapshot_or_404(signed_in(request.user), self.read()["snapshot"])
        comparison = comparison_request(
            candidate=version,
            manifest_name=snapshot.stored_name,
            fingerprint=snapshot.fingerprint,
            site=snapshot.site,
            by=signed_in(request.user),
        )
        return Response(ComparisonSerializer(comparison).data, status=202)


class ModelShadow(Resource):
    needs = {"GET": "model.view", "POST": "model.promote"}

    @operation("model_agreement", returns=ShadowAgreementSerializer)
    def get(self, request: Request, model_id: UUID) -> Response:
        """Get the agreement of a candidate in shadow mode with the active model."""
        return self._agreement(model_or_404(signed_in(request.user), model_id))

    @operation("model_shadow", body=ShadowModeSerializer, returns=ShadowAgreementSerializer)
    def post(self, request: Request, model_id: UUID) -> Response:
        """Start or stop shadow mode: the candidate scores new scans, which no reader sees."""
        version = model_or_404(signed_in(request.user), model_id)
        return self._agreement(
            shadow_set(model_version=version, on=self.read()["on"], by=signed_in(request.user))
        )

    def _agreement(self, version: ModelVersion) -> Response:
        return Response(
            ShadowAgreementSerializer(agreement(version), context={"shadow": version.shadow}).data
        )


class ComparisonCollection(ListResource):
    """List comparisons of candidates with active models, newest first."""

    name = "comparisons_list"
    needs = {"GET": "model.view"}
    queryset = Comparison.objects.none()
    filterset_class = ComparisonFilter
    serializer_class = ComparisonSerializer
    find = comparisons_visible

    def decorate(self, rows: Any) -> Any:
        return rows.defer("report", "changes")


class ComparisonDetail(Resource):
    needs = {"GET": "model.view"}

    @operation("comparison_retrieve", returns=ComparisonDetailSerializer)
    def get(self, request: Request, comparison_id: UUID) -> Response:
        """Get a comparison with every measure, and the scans whose result would change."""
        comparison = comparison_or_404(signed_in(request.user), comparison_id)
        scans = Scan.objects.filter(pk__in=comparison_scans(comparison))
        visible = set(for_sites(scans, request.user, "scan.view").values_list("pk", flat=True))
        return Response(ComparisonDetailSerializer(comparison, context={"visible": visible}).data)


class PolicyCollection(ListResource):
    """List the versions of the promotion policy, newest first; empty while Hilum's own is active."""

    name = "promotion_policies_list"
    needs = {"GET": "model.view", "POST": "promotion_policy.edit"}
    queryset = PromotionPolicy.objects.none()
    serializer_class = PolicySerializer

    def rows(self) -> Any:
        return PromotionPolicy.objects.select_related("by")

    @operation("promotion_policy_create", body=PolicyCreateSerializer, returns={201: PolicySerializer})
    def post(self, request: Request) -> Response:
        """Create and activate a new version of the promotion policy, for every site."""
        fields = self.read()
        policy = policy_set(rules=fields["rules"], by=signed_in(request.user), reason=fields["reason"])
        return Response(PolicySerializer(policy).data, status=201)


class PolicyCurrent(Resource):
    needs = {"GET": "model.view"}

    @operation("promotion_policy_current", returns=PolicySerializer)
    def get(self, request: Request) -> Response:
        """Get the current promotion policy."""
        policy = PromotionPolicy.objects.select_related("by").first()
        return Response(PolicySerializer().to_representation(policy))
