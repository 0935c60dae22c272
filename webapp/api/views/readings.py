"""Signed readings of a study over HTTP."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.resource import Resource
from webapp.api.serializers.readings import ReadingSerializer, SignSerializer, reading_answer
from webapp.labels.readings import reading_sign
from webapp.labels.selectors import readings_of
from webapp.scans.patients.records import study_or_404


class StudyReadings(Resource):
    needs = {"GET": "scan.view", "POST": "scan.label"}

    @extend_schema(operation_id="study_readings", responses=ReadingSerializer(many=True))
    def get(self, request: Request, study_id: UUID) -> Response:
        """What people signed of the study's scans, newest first, corrected readings included."""
        readings = readings_of(study_or_404(request.user, study_id))
        return Response([reading_answer(reading) for reading in readings])

    @extend_schema(operation_id="study_sign", request=SignSerializer, responses={201: ReadingSerializer})
    def post(self, request: Request, study_id: UUID) -> Response:
        """Sign a reading; 409 `conflict` unless `after` names the own one that is in force."""
        study = study_or_404(request.user, study_id)
        signed = reading_sign(study=study, actor=request.user, **self.read(request, SignSerializer))
        return Response(reading_answer(signed), status=201)
