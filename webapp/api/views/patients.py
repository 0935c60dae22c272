"""Patients: list, search, look up, history, merge, unmerge."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.analysis.selectors import history
from webapp.analysis.services import patient_rescore
from webapp.api.examples import SEARCH_EXAMPLE
from webapp.api.filters import PatientFilter
from webapp.api.resource import DetailResource, ListResource, PaginatedResource, Resource
from webapp.api.schema import operation
from webapp.api.serializers.patients import (
    MergeSerializer,
    PatientDetailSerializer,
    PatientHistorySerializer,
    PatientLookupResultSerializer,
    PatientLookupSerializer,
    PatientMergeSerializer,
    PatientSearchSerializer,
    PatientSerializer,
    PatientUnmergeSerializer,
    RescoreSerializer,
)
from webapp.scans.models import Patient
from webapp.scans.patients.corrections import patient_merge, patient_unmerge
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


def ends(patients: Iterable[Patient]) -> dict[str, Any]:
    """The context of `PatientSerializer`."""
    return {"ends": ends_of(patient.pk for patient in patients)}


class PatientList(PaginatedResource):
    queryset = Patient.objects.all()
    serializer_class = PatientSerializer

    def represent(self, rows: list[Patient]) -> Any:
        return PatientSerializer(rows, many=True, context=ends(rows)).data


class PatientCollection(ListResource, PatientList):
    """List the site's patients, newest record first, including merged ones."""

    name = "patients_list"
    needs = {"GET": "scan.view"}
    filterset_class = PatientFilter


class PatientSearch(PatientList):
    needs = {"POST": "scan.view"}
    query_method = "POST"

    @operation(
        "patients_search",
        body=PatientSearchSerializer,
        returns=PatientSerializer(many=True),
        examples=[SEARCH_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        """Search patients by ID or name.

        For the next page, POST the same body to `next`.
        """
        words = self.read()["q"]
        self.record_search(words)
        return self.listed(self.rows().filter(patient_matches(words)))


class PatientLookup(Resource):
    needs = {"POST": "scan.view"}

    @operation("patients_lookup", body=PatientLookupSerializer, returns=PatientLookupResultSerializer)
    def post(self, request: Request) -> Response:
        """Look up patients by their exact IDs; for a merged one, the patient they were merged into."""
        names = {key: known_as(self.site, key) for key in self.read()["patient_ids"]}
        self.record_search(*names)
        known = patients_meant(site=self.site, identifiers=names.values())
        found = {key: known[name] for key, name in names.items() if name in known}
        context = {"ends": {patient.pk: patient.pk for patient in found.values()}}
        return Response(PatientLookupResultSerializer({"results": found}, context=context).data)


class PatientDetail(DetailResource):
    """Get a patient with the number of studies and scans, merges and moves."""

    needs = {"GET": "scan.view"}
    name, find, serializer_class = "patient_retrieve", patient_or_404, PatientDetailSerializer

    def represent(self, record: Patient) -> Any:
        return represent(record)


def represent(patient: Patient) -> Any:
    patient.extent = extent_of(patient)
    patient.latest_merges, patient.latest_moves = merges_of(patient), moves_of(patient)
    patient.possible_duplicates = may_be_same(patient)
    return PatientDetailSerializer(patient, context={"ends": {patient.pk: end_of(patient).pk}}).data


class PatientRescore(Resource):
    needs = {"POST": "scan.upload"}

    @operation("patient_rescore", returns=RescoreSerializer)
    def post(self, request: Request, patient_uuid: UUID) -> Response:
        """Analyse all scans of a patient with the active models, for a comparable history."""
        patient = patient_or_404(request.user, patient_uuid)
        return Response(
            RescoreSerializer({"waiting": patient_rescore(patient=patient, actor=request.user)}).data
        )


class PatientHistory(Resource):
    needs = {"GET": "scan.view"}

    @operation("patient_history", returns=PatientHistorySerializer)
    def get(self, request: Request, patient_uuid: UUID) -> Response:
        """Get every scan of a patient in order of time, with its current result.

        For a merged patient, the history of the one they were merged into.
        """
        patient = end_of(patient_or_404(request.user, patient_uuid))
        entries = history(patient)
        merged = [merge.source for merge in merges_of(patient) if not merge.unmerged_at]
        found = {
            "patient_uuid": patient.pk,
            "entries": entries,
            "disagreements": disagreements(patient, [entry.scan for entry in entries], merged),
        }
        return Response(PatientHistorySerializer(found).data)


class PatientMergeInto(Resource):
    needs = {"POST": "patient.merge"}

    @operation("patient_merge", body=PatientMergeSerializer, returns={201: MergeSerializer})
    def post(self, request: Request, patient_uuid: UUID) -> Response:
        """Merge another patient into this one.

        Honours If-Match with the ETag of the patient.
        """
        target = patient_or_404(request.user, patient_uuid, "patient.merge")
        fields = self.read()
        source = patient_or_404(request.user, fields["source_uuid"], "patient.merge")
        self.expect(lambda: represent(target))
        merge = patient_merge(source=source, target=target, actor=request.user, reason=fields["reason"])
        return Response(MergeSerializer(merge).data, status=201)


class MergeUndo(Resource):
    needs = {"POST": "patient.merge"}

    @operation("merge_undo", body=PatientUnmergeSerializer, returns=MergeSerializer)
    def post(self, request: Request, merge_id: UUID) -> Response:
        """Undo a merge: the source is a patient of their own again."""
        merge = merge_or_404(request.user, merge_id, "patient.merge")
        merge = patient_unmerge(merge=merge, actor=request.user, reason=self.read()["reason"])
        return Response(MergeSerializer(merge).data)
