"""Patients and their studies over HTTP: lists, searches by POST, history, merging and parting."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import for_sites
from webapp.analysis.models import StudySummary
from webapp.analysis.patients import patient_merge, patient_part
from webapp.analysis.selectors import history, with_answers
from webapp.analysis.services import patient_rescore
from webapp.analysis.worklist.query import Filters, worklist
from webapp.api.filters import PatientFilter, StudyFilter
from webapp.api.pagination import cut
from webapp.api.resource import Listing, Resource
from webapp.api.serializers import patients as shapes
from webapp.api.serializers.scans import scan_row
from webapp.core.errors import CodedError
from webapp.scans.models import Patient, Scan
from webapp.scans.patients.identity import end_of, ends_of, patients_meant
from webapp.scans.patients.pseudonymity import known_as
from webapp.scans.patients.records import (
    disagreements,
    extent_of,
    may_be_same,
    merge_or_404,
    merges_of,
    moves_of,
)
from webapp.scans.selectors import patient_matches, patient_or_404

NEWEST = ("created_at", "pk")
LATEST = ("latest_at", "study_id")
WITH = "study__patient"  # what a row of the worklist tells beside its own columns


def told(patients: list[Patient]) -> list[dict[str, Any]]:
    ends = ends_of(patient.pk for patient in patients)
    return [shapes.patient_answer(patient, ends[patient.pk]) for patient in patients]


class PatientCollection(Listing):
    needs = {"GET": "scan.view"}
    queryset = Patient.objects.none()
    filterset_class = PatientFilter

    def rows(self) -> Any:
        return for_sites(Patient.objects.all(), self.request.user, "scan.view")

    def answer(self, rows: list[Patient]) -> list[dict[str, Any]]:
        return told(rows)

    @extend_schema(operation_id="patients_list", responses=shapes.PatientSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The site's patients, the newest record first, merged ones included."""
        return self.listed(request)


class PatientSearch(Resource):
    needs = {"POST": "scan.view"}

    @extend_schema(
        operation_id="patients_search",
        request=shapes.SearchSerializer,
        responses=shapes.PatientsFoundSerializer,
    )
    def post(self, request: Request) -> Response:
        """Patients by identifier or name; the next page is asked for by sending `next` as `cursor`."""
        fields = self.read(request, shapes.SearchSerializer)
        rows = for_sites(Patient.objects.filter(patient_matches(fields["q"])), request.user, "scan.view")
        page, mark = cut(rows, order=NEWEST, limit=fields["limit"], cursor=fields["cursor"])
        return Response({"next": mark, "results": told(page)})


class PatientLookup(Resource):
    needs = {"POST": "scan.view"}

    @extend_schema(
        operation_id="patients_lookup", request=shapes.LookupSerializer, responses=shapes.MeantSerializer
    )
    def post(self, request: Request) -> Response:
        """Whom identifiers name at the site, merged ones as who they are by now: before a file is sent."""
        asked = self.read(request, shapes.LookupSerializer)["identifiers"]
        names = {key: known_as(self.site, key) for key in asked}
        meant = patients_meant(site=self.site, identifiers=names.values())
        found = {key: meant[name] for key, name in names.items() if name in meant}
        return Response({"results": {key: shapes.patient_answer(p, p.pk) for key, p in found.items()}})


class PatientDetail(Resource):
    needs = {"GET": "scan.view"}

    @extend_schema(operation_id="patient_retrieve", responses=shapes.PatientDetailSerializer)
    def get(self, request: Request, patient_id: UUID) -> Response:
        """A patient with how much is filed to them, and who merged, parted and moved what."""
        return Response(patient_told(patient_or_404(request.user, patient_id)))


class PatientRescore(Resource):
    needs = {"POST": "scan.upload"}

    @extend_schema(operation_id="patient_rescore", request=None, responses=shapes.RescoredSerializer)
    def post(self, request: Request, patient_id: UUID) -> Response:
        """Have the active models score all of the patient's scans, so that one version tells the history."""
        patient = patient_or_404(request.user, patient_id)
        return Response({"waiting": patient_rescore(patient=patient, actor=request.user)})


def patient_told(patient: Patient) -> dict[str, Any]:
    return (
        shapes.patient_answer(patient, end_of(patient).pk)
        | shapes.extent_answer(extent_of(patient))
        | {
            "merges": [shapes.merge_answer(merge) for merge in merges_of(patient)],
            "moves": [shapes.move_answer(move) for move in moves_of(patient)],
            "may_be_same": [other.pk for other in may_be_same(patient)],
        }
    )


class PatientHistory(Resource):
    needs = {"GET": "scan.view"}

    @extend_schema(operation_id="patient_history", responses=shapes.HistorySerializer)
    def get(self, request: Request, patient_id: UUID) -> Response:
        """Every scan in order of time with its answer; one who was merged is told as who they are by now."""
        patient = end_of(patient_or_404(request.user, patient_id))
        entries = history(patient)
        merged = [merge.source for merge in merges_of(patient) if not merge.parted_at]
        found = disagreements(patient, [entry.scan for entry in entries], merged)
        return Response(
            {
                "patient": patient.pk,
                "entries": shapes.history_answer(entries),
                "disagreements": {
                    field: [shapes.said_answer(said) for said in values] for field, values in found.items()
                },
            }
        )


class PatientMergeInto(Resource):
    needs = {"POST": "patient.merge"}

    @extend_schema(
        operation_id="patient_merge",
        request=shapes.MergeRequestSerializer,
        responses={201: shapes.MergeSerializer},
    )
    def post(self, request: Request, patient_id: UUID) -> Response:
        """Make `source` another name of this patient; honours If-Match with the ETag of the patient."""
        target = patient_or_404(request.user, patient_id, "patient.merge")
        fields = self.read(request, shapes.MergeRequestSerializer)
        source = patient_or_404(request.user, fields["source"], "patient.merge")
        self.expect(request, lambda: patient_told(target))
        merge = patient_merge(source=source, target=target, actor=request.user, reason=fields["reason"])
        return Response(shapes.merge_answer(merge), status=201)


class MergePart(Resource):
    needs = {"POST": "patient.merge"}

    @extend_schema(
        operation_id="merge_part", request=shapes.ReasonSerializer, responses=shapes.MergeSerializer
    )
    def post(self, request: Request, merge_id: UUID) -> Response:
        """Undo a merge: the source is a patient of their own again. Done twice it is done once."""
        merge = merge_or_404(request.user, merge_id, "patient.merge")
        reason = self.read(request, shapes.ReasonSerializer)["reason"]
        merge = patient_part(merge=merge, actor=request.user, reason=reason)
        return Response(shapes.merge_answer(merge))


class StudyCollection(Listing):
    needs = {"GET": "scan.view"}
    queryset = StudySummary.objects.none()
    filterset_class = StudyFilter
    order = LATEST

    def rows(self) -> Any:
        return studies_visible(self.request)

    def answer(self, rows: list[StudySummary]) -> list[dict[str, Any]]:
        return [shapes.study_answer(summary) for summary in rows]

    @extend_schema(operation_id="studies_list", responses=shapes.StudySerializer(many=True))
    def get(self, request: Request) -> Response:
        """The worklist: a row a study with the worst of its scans, latest arrival first."""
        return self.listed(request)


class StudySearch(Resource):
    needs = {"POST": "scan.view"}

    @extend_schema(
        operation_id="studies_search",
        request=shapes.StudySearchSerializer,
        responses=shapes.StudiesFoundSerializer,
    )
    def post(self, request: Request) -> Response:
        """The worklist by patient or accession number; `next` is to be sent as `cursor`."""
        fields = self.read(request, shapes.StudySearchSerializer)
        asked = Filters(
            search=fields["q"], status=fields.get("status", ""), finding=fields.get("finding", "")
        )
        rows = worklist(user=request.user, site=self.site, filters=asked).select_related(WITH)
        page, mark = cut(rows, order=LATEST, limit=fields["limit"], cursor=fields["cursor"])
        return Response({"next": mark, "results": [shapes.study_answer(summary) for summary in page]})


class StudyDetail(Resource):
    needs = {"GET": "scan.view"}

    @extend_schema(operation_id="study_retrieve", responses=shapes.StudyDetailSerializer)
    def get(self, request: Request, study_id: UUID) -> Response:
        """A study with each of its scans."""
        summary = studies_visible(request).filter(pk=study_id).first()
        if summary is None:
            raise CodedError("not_found")
        scans = with_answers(Scan.objects.filter(series__study=study_id).order_by("received_at", "pk"))
        return Response(shapes.study_answer(summary) | {"images": [scan_row(scan) for scan in scans]})


def studies_visible(request: Request) -> Any:
    rows = StudySummary.objects.select_related(WITH)
    return for_sites(rows, request.user, "scan.view")
