"""Model versions: list, import, download, promote, roll back; promotions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import for_sites, signed_in
from webapp.api.filters import ModelFilter, PromotionFilter
from webapp.api.resource import DetailResource, ListResource, Resource, file_renderer
from webapp.api.schema import file_response, operation
from webapp.api.serializers.models import (
    ModelDetailSerializer,
    ModelFileSerializer,
    ModelVersionSerializer,
    PromoteSerializer,
    PromotionSerializer,
    RollbackSerializer,
)
from webapp.audit.services import record
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.registry.models import ModelStatus, ModelVersion, Promotion
from webapp.registry.selectors import model_or_404, models_visible
from webapp.registry.services import model_import, model_promote, model_rollback
from webapp.scans.uploads.files import receive


class ModelCollection(ListResource):
    """List model versions, newest first: the site's own and those of all sites."""

    name = "models_list"
    needs = {"GET": "model.view", "POST": "training.start"}
    parser_classes = [MultiPartParser]
    queryset = ModelVersion.objects.none()
    filterset_class = ModelFilter
    serializer_class = ModelVersionSerializer
    find = models_visible

    @operation("model_import", body=ModelFileSerializer, returns={201: ModelVersionSerializer})
    def post(self, request: Request) -> Response:
        """Import a model file as a candidate of the site.

        A file that was imported before returns the same version.
        """
        received = receive(self.read()["file"].chunks())
        try:
            version = model_import(path=received.path, site=self.site, by=signed_in(request.user))
        finally:
            received.path.unlink(missing_ok=True)
        return Response(ModelVersionSerializer(version).data, status=201)


class ModelDetail(DetailResource):
    """Get a model version with its specification, model card and promotions."""

    needs = {"GET": "model.view"}
    name, find, serializer_class = "model_retrieve", model_or_404, ModelDetailSerializer

    def represent(self, record: ModelVersion) -> Any:
        return represent(self.request, record)


def represent(request: Request, version: ModelVersion) -> Any:
    return ModelDetailSerializer(version, context={"user": request.user}).data


class ModelArtifact(Resource):
    needs = {"GET": "model.view"}
    renderer_classes = [file_renderer("application/octet-stream"), JSONRenderer]

    @operation("model_artifact", returns=file_response("application/octet-stream", "safetensors"))
    def get(self, request: Request, model_id: UUID) -> FileResponse:
        """Download the model file; `sha256` of the model is its hash."""
        version = model_or_404(signed_in(request.user), model_id)
        try:
            file = storage.open_file(version.stored_name)
        except FileNotFoundError as error:
            raise CodedError("artifact_damaged") from error
        record(actor=request.user, site=version.site, action="model.downloaded", subject=version)
        return FileResponse(file, content_type="application/octet-stream", filename=f"{version}.safetensors")


class ModelCard(Resource):
    needs = {"GET": "model.view"}

    @operation("model_card", returns=OpenApiTypes.OBJECT)
    def get(self, request: Request, model_id: UUID) -> Response:
        """Get the model card: data, measures, limits."""
        return Response(model_or_404(signed_in(request.user), model_id).card)


class ModelPromote(Resource):
    needs = {"POST": "model.promote"}

    @operation("model_promote", body=PromoteSerializer, returns={201: PromotionSerializer})
    def post(self, request: Request, model_id: UUID) -> Response:
        """Promote a model version: it becomes the active one of its slot, at every site.

        A candidate must have passed the promotion gate against the model that is active now (409
        `promotion_gate_failed`), unless `override` is set, which needs the scope `model.override`. Honours
        If-Match with the ETag of the model.
        """
        version = model_or_404(signed_in(request.user), model_id)
        fields = self.read()
        self.expect(lambda: represent(request, version))
        promotion = model_promote(model_version=version, by=signed_in(request.user), **fields)
        return Response(PromotionSerializer(promotion).data, status=201)


class ModelRollback(Resource):
    needs = {"POST": "model.promote"}

    @operation("model_rollback", body=RollbackSerializer, returns={201: PromotionSerializer})
    def post(self, request: Request, model_id: UUID) -> Response:
        """Roll back from this version, the active one, to the one before: another promotion."""
        version = model_or_404(signed_in(request.user), model_id)
        reason = self.read()["reason"]
        if version.status != ModelStatus.ACTIVE:
            raise CodedError("conflict", "This model is not the active one.")
        promotion = model_rollback(slot=version.slot, by=signed_in(request.user), reason=reason)
        return Response(PromotionSerializer(promotion).data, status=201)


class PromotionCollection(ListResource):
    """List promotions, newest first."""

    name = "promotions_list"
    needs = {"GET": "model.view"}
    queryset = Promotion.objects.none()
    filterset_class = PromotionFilter
    serializer_class = PromotionSerializer

    def rows(self) -> Any:
        rows = Promotion.objects.select_related("by", "model_version")
        return for_sites(rows, self.request.user, "model.view", "model_version__site", include_global=True)
