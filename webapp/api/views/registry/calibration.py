"""Site calibrations: the one in use, earlier ones, a preview, setting and going back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import signed_in
from webapp.api.resource import ListResource, Resource
from webapp.api.schema import operation
from webapp.api.serializers.calibration import (
    CalibrationChoicesSerializer,
    CalibrationCreateSerializer,
    CalibrationPreviewSerializer,
    CalibrationUseSerializer,
    ModelCalibrationSerializer,
    SiteCalibrationSerializer,
)
from webapp.labels.calibration.choices import Choices
from webapp.labels.calibration.preview import preview
from webapp.labels.calibration.services import calibration_set
from webapp.registry.calibrations import (
    active_calibration,
    calibration_changes,
    calibration_not_carried_over,
    calibration_use,
    calibrations,
)
from webapp.registry.models import ModelVersion, SiteCalibration
from webapp.registry.selectors import model_or_404

MAX_CHANGES = 50


class ModelCalibration(Resource):
    needs = {"GET": "model.view", "POST": "calibration.manage"}

    @operation("model_calibration", returns=ModelCalibrationSerializer)
    def get(self, request: Request, model_id: UUID) -> Response:
        """Get the calibration that new results of a model version use at the site."""
        return self._state(model_or_404(signed_in(request.user), model_id))

    @operation("model_calibration_use", body=CalibrationUseSerializer, returns=ModelCalibrationSerializer)
    def post(self, request: Request, model_id: UUID) -> Response:
        """Use an earlier site calibration again, or the model's own, for new results.

        Existing results keep the calibration that they were made with.
        """
        version = model_or_404(signed_in(request.user), model_id)
        calibration_use(site=self.site, version=version, by=signed_in(request.user), **self.read())
        return self._state(version)

    def _state(self, version: ModelVersion) -> Response:
        found = {
            "model": version.pk,
            "site": self.site.pk,
            "calibration": active_calibration(self.site, version),
            "not_carried_over": calibration_not_carried_over(self.site, version),
            "changes": calibration_changes(self.site, version)[:MAX_CHANGES],
        }
        return Response(ModelCalibrationSerializer(found).data)


class CalibrationCollection(ListResource):
    """List the site's calibrations of a model version, newest first."""

    name = "model_calibrations_list"
    needs = {"GET": "model.view", "POST": "calibration.manage"}
    queryset = SiteCalibration.objects.none()
    serializer_class = SiteCalibrationSerializer

    def rows(self) -> Any:
        return calibrations(self.site, model_or_404(signed_in(self.request.user), self.kwargs["model_id"]))

    @operation(
        "model_calibration_set", body=CalibrationCreateSerializer, returns={201: SiteCalibrationSerializer}
    )
    def post(self, request: Request, model_id: UUID) -> Response:
        """Fit a site calibration and use it for new results of the site.

        Existing results keep the calibration that they were made with. 409 `too_few_labels` where the preview
        has `problems`; with the preview's `fingerprint`, 409 `conflict` when labels have changed since.
        """
        version = model_or_404(signed_in(request.user), model_id)
        fields = self.read()
        choices = Choices(**fields.pop("choices", {}))
        made = calibration_set(
            site=self.site, version=version, choices=choices, by=signed_in(request.user), **fields
        )
        return Response(SiteCalibrationSerializer(made).data, status=201)


class CalibrationPreview(Resource):
    needs = {"POST": "calibration.manage"}

    @operation(
        "model_calibration_preview", body=CalibrationChoicesSerializer, returns=CalibrationPreviewSerializer
    )
    def post(self, request: Request, model_id: UUID) -> Response:
        """Preview a site calibration on the site's labelled scans; nothing is changed.

        The labelled scans should be consecutive or a random sample: otherwise the measures are wrong.
        """
        version = model_or_404(signed_in(request.user), model_id)
        choices = Choices(**self.read())
        found = preview(site=self.site, version=version, choices=choices, by=signed_in(request.user))
        return Response(CalibrationPreviewSerializer(found).data)
