"""Models, promotions, the audit trail, and who is calling, over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import active_membership, for_sites
from webapp.api.filters import AuditFilter, ModelFilter, PromotionFilter
from webapp.api.intake import bounded
from webapp.api.resource import Listing, Resource
from webapp.api.serializers import models as shapes
from webapp.api.serializers.training import ModelFileSerializer, PromoteSerializer
from webapp.api.views.promotion_gate import imported
from webapp.audit.models import AuditEvent
from webapp.registry.models import ModelVersion, Promotion
from webapp.registry.selectors import model_or_404, models_visible
from webapp.registry.services import may_promote, model_promote


class Me(Resource):
    needs = {"GET": None}

    @extend_schema(operation_id="me", responses=shapes.MeSerializer)
    def get(self, request: Request) -> Response:
        """Who the token speaks for, where, and what it may do."""
        return Response(shapes.me_answer(active_membership(request), request.auth))


class SiteCollection(Resource):
    needs = {"GET": None}
    queryset = None

    @extend_schema(operation_id="sites_list", responses=shapes.SitesSerializer)
    def get(self, request: Request) -> Response:
        """The sites that the token opens: a token is of one."""
        return Response({"next": None, "results": [shapes.site_answer(self.site)]})


class ModelCollection(Listing):
    needs = {"GET": "model.view", "POST": "training.start"}
    parser_classes = [MultiPartParser]
    queryset = ModelVersion.objects.none()
    filterset_class = ModelFilter

    def rows(self) -> Any:
        return models_visible(self.request.user)

    def answer(self, rows: list[ModelVersion]) -> list[dict[str, Any]]:
        return [shapes.model_row(version) for version in rows]

    @extend_schema(operation_id="models_list", responses=shapes.ModelRowSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Model versions, the site's own and those that belong to all, newest first."""
        return self.listed(request)

    @extend_schema(
        operation_id="model_import",
        request={"multipart/form-data": ModelFileSerializer},
        responses={201: shapes.ModelRowSerializer},
    )
    def post(self, request: Request) -> Response:
        """Register a model file that was made elsewhere: a candidate of the site. The same file is known."""
        with bounded(request):
            request.data  # noqa: B018 - read here, within the bounds
        return Response(imported(request, self.site), status=201)


class ModelDetail(Resource):
    needs = {"GET": "model.view"}

    @extend_schema(operation_id="model_retrieve", responses=shapes.ModelDetailSerializer)
    def get(self, request: Request, model_id: UUID) -> Response:
        """A model version with its card, its spec, and who made it active when."""
        return Response(model_told(request, model_or_404(request.user, model_id)))


class ModelPromote(Resource):
    needs = {"POST": "model.promote"}

    @extend_schema(
        operation_id="model_promote", request=PromoteSerializer, responses={201: shapes.PromotionSerializer}
    )
    def post(self, request: Request, model_id: UUID) -> Response:
        """Make the version the active one of its slot, at every site; a rollback is another promotion.

        A candidate has to have passed the gate beside the model that is active now (409
        `promotion_gate_failed`), or `override` to be set,
        with the scope `model.override`. Honours If-Match with the ETag of the model.
        """
        version = model_or_404(request.user, model_id)
        said = self.read(request, PromoteSerializer)
        self.expect(request, lambda: model_told(request, version))
        promotion = model_promote(
            model_version=version, by=request.user, reason=said["reason"], override=said["override"]
        )
        return Response(shapes.promotion_answer(promotion), status=201)


class PromotionCollection(Listing):
    needs = {"GET": "model.view"}
    queryset = Promotion.objects.none()
    filterset_class = PromotionFilter

    def rows(self) -> Any:
        rows = Promotion.objects.select_related("by", "model_version")
        return for_sites(rows, self.request.user, "model.view", "model_version__site", include_global=True)

    def answer(self, rows: list[Promotion]) -> list[dict[str, Any]]:
        return [shapes.promotion_answer(promotion) for promotion in rows]

    @extend_schema(operation_id="promotions_list", responses=shapes.PromotionSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Which model became the active one when, by whom and why."""
        return self.listed(request)


class AuditCollection(Listing):
    needs = {"GET": "audit.view"}
    queryset = AuditEvent.objects.none()
    filterset_class = AuditFilter

    def rows(self) -> Any:
        return for_sites(AuditEvent.objects.select_related("actor"), self.request.user, "audit.view")

    def answer(self, rows: list[AuditEvent]) -> list[dict[str, Any]]:
        return [shapes.audit_answer(event) for event in rows]

    @extend_schema(operation_id="audit_events_list", responses=shapes.AuditEventSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Who did what to which record of the site, newest first."""
        return self.listed(request)


def model_told(request: Request, version: ModelVersion) -> dict[str, Any]:
    promotions = version.promotions.select_related("by")
    return shapes.model_row(version) | {
        "spec": version.spec,
        "card": version.card,
        "promotions": [shapes.promotion_answer(promotion) for promotion in promotions],
        "may_promote": may_promote(request.user, version),
    }
