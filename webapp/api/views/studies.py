"""Studies: the worklist, searches, signed readings."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import for_sites
from webapp.analysis.models import StudySummary
from webapp.analysis.selectors import with_list_columns
from webapp.analysis.worklist.query import Filters, worklist
from webapp.api.examples import SEARCH_EXAMPLE
from webapp.api.filters import StudyFilter
from webapp.api.resource import ListResource, PaginatedResource, Resource, SinglePage
from webapp.api.schema import operation
from webapp.api.serializers.patients import StudyDetailSerializer, StudySearchSerializer, StudySerializer
from webapp.api.serializers.readings import ReadingCreateSerializer, ReadingSerializer
from webapp.core.queries import get_or_404
from webapp.labels.readings import reading_sign
from webapp.labels.selectors import readings_of
from webapp.scans.models import Scan
from webapp.scans.patients.records import study_or_404


class StudyList(PaginatedResource):
    queryset = StudySummary.objects.all()
    serializer_class = StudySerializer
    order = ("latest_at", "study_id")

    def decorate(self, rows: Any) -> Any:
        return rows.select_related("study__patient")


class StudyCollection(ListResource, StudyList):
    """List the worklist: studies with the result of their worst scan, latest upload first."""

    name = "studies_list"
    needs = {"GET": "scan.view"}
    filterset_class = StudyFilter


class StudySearch(StudyList):
    needs = {"POST": "scan.view"}
    query_method = "POST"

    @operation(
        "studies_search",
        body=StudySearchSerializer,
        returns=StudySerializer(many=True),
        examples=[SEARCH_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        """Search the worklist by patient or accession number.

        For the next page, POST the same body to `next`.
        """
        fields = self.read()
        self.record_search(fields["q"])
        filters = Filters(
            search=fields["q"], status=fields.get("status", ""), finding=fields.get("finding", "")
        )
        return self.listed(worklist(user=request.user, site=self.site, filters=filters))


class StudyDetail(Resource):
    needs = {"GET": "scan.view"}

    @operation("study_retrieve", returns=StudyDetailSerializer)
    def get(self, request: Request, study_uuid: UUID) -> Response:
        """Get a study with its scans."""
        studies = for_sites(StudySummary.objects.select_related("study__patient"), request.user, "scan.view")
        summary = get_or_404(studies, study_uuid)
        scans = Scan.objects.filter(series__study=study_uuid).order_by("received_at", "pk")
        summary.images = with_list_columns(scans)
        return Response(StudyDetailSerializer(summary).data)


class StudyReadings(SinglePage):
    needs = {"GET": "scan.view", "POST": "scan.label"}
    serializer_class = ReadingSerializer

    @operation("study_readings", returns=ReadingSerializer(many=True))
    def get(self, request: Request, study_uuid: UUID) -> Response:
        """List the signed readings of a study, newest first, including superseded ones."""
        return self.listed(readings_of(study_or_404(request.user, study_uuid)))

    @operation("study_sign", body=ReadingCreateSerializer, returns={201: ReadingSerializer})
    def post(self, request: Request, study_uuid: UUID) -> Response:
        """Sign a reading of a study.

        409 `conflict` unless `after` names the caller's current reading, if there is one.
        """
        study = study_or_404(request.user, study_uuid)
        signed = reading_sign(study=study, actor=request.user, **self.read())
        return Response(ReadingSerializer(signed).data, status=201)
