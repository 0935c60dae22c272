"""Results as FHIR R4 resources, by the tokens of the API: read, and search by POST.

Searches name patients and accession numbers, hence are POSTed: no address contains either.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from rest_framework.parsers import FormParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import for_sites, signed_in
from webapp.analysis.models import Analysis
from webapp.api.resource import Resource
from webapp.core.errors import CodedError
from webapp.core.queries import get_or_404
from webapp.labels.models import Reading
from webapp.registry.selectors import model_or_404
from webapp.results.deliveries import finished_analysis
from webapp.results.fhir import rows
from webapp.results.fhir.capabilities import capability_statement
from webapp.results.fhir.parts import Json
from webapp.scans.models import Scan, Study
from webapp.scans.selectors import scan_or_404

MOST = 100
ISSUES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    406: "not-supported",
    429: "throttled",
}


class FhirRenderer(JSONRenderer):
    media_type, format = "application/fhir+json", "fhir"


class FhirResource(Resource):
    """Errors leave as OperationOutcome, with the API's code as `details`."""

    renderer_classes = [FhirRenderer, JSONRenderer]
    needs = {"GET": "scan.view", "POST": "scan.view"}
    schema = None

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        response = super().handle_exception(exc)
        try:
            problem = json.loads(response.content)
        except (AttributeError, ValueError):
            return response
        issue = {
            "severity": "error",
            "code": ISSUES.get(response.status_code, "processing"),
            "details": {"text": problem.get("code", "")},
            "diagnostics": " ".join(filter(None, [problem.get("detail"), problem.get("remedy")])),
        }
        response.content = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]})
        response["Content-Type"] = FhirRenderer.media_type
        return response


class Capabilities(FhirResource):
    def get(self, request: Request) -> Response:
        return Response(capability_statement(request.build_absolute_uri("/fhir")))


class DiagnosticReport(FhirResource):
    """The result of a scan by the scan's id, or a signed reading by the id of its first version."""

    def get(self, request: Request, key: uuid.UUID) -> Response:
        reading = _reading(request, key)
        if reading:
            return Response(rows.reading_resource(reading))
        scan = scan_or_404(signed_in(request.user), key)
        return Response(rows.result_resource(scan, _analysis(scan)))


class Observation(FhirResource):
    """A part of a scan's result; its id begins with that of the scan."""

    def get(self, request: Request, key: str) -> Response:
        try:
            scan = scan_or_404(signed_in(request.user), uuid.UUID(key.partition(".")[0]))
        except ValueError as error:
            raise CodedError("not_found") from error
        for one in rows.observation_resources(scan, _analysis(scan)):
            if one["id"] == key:
                return Response(one)
        raise CodedError("not_found")


class ImagingStudy(FhirResource):
    def get(self, request: Request, key: uuid.UUID) -> Response:
        return Response(rows.study_resource(get_or_404(_studies(request), key)))


class Device(FhirResource):
    """A model version."""

    needs = {"GET": "model.view"}

    def get(self, request: Request, key: uuid.UUID) -> Response:
        return Response(rows.model_resource(model_or_404(signed_in(request.user), key)))


class Search(FhirResource):
    """By `identifier` (accession number, or the study's UID as `urn:oid:`) and `subject:identifier`."""

    parser_classes = [FormParser]
    needs = {"POST": "scan.view"}
    http_method_names = ["post"]
    known = ("identifier", "subject:identifier", "_count")

    def _body(self) -> type:
        return dict  # a form, which `post` checks itself

    def post(self, request: Request) -> Response:
        form = request.data if isinstance(request.data, Mapping) else {}
        asked = {name: value.strip() for name, value in form.items() if value.strip()}
        if unknown := set(asked) - set(self.known):
            raise CodedError(
                "invalid", fields={name: ["This parameter is not supported."] for name in unknown}
            )
        studies = _studies(request)
        if not asked.keys() & {"identifier", "subject:identifier"}:
            raise CodedError("invalid", "A search needs identifier or subject:identifier.")
        if identifier := asked.get("identifier", "").rpartition("|")[2]:
            uid = identifier.removeprefix("urn:oid:")
            named = {"study_instance_uid": uid} if uid != identifier else {"accession_number": identifier}
            studies = studies.filter(**named)
        if patient := asked.get("subject:identifier", "").rpartition("|")[2]:
            studies = studies.filter(patient__patient_id=patient)
        found = self.resources(list(studies.order_by("-study_at")[:MOST]))[:MOST]
        entries = [{"resource": one, "search": {"mode": "match"}} for one in found]
        return Response(
            {"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": entries}
        )

    def resources(self, studies: list[Study]) -> list[Json]:
        raise NotImplementedError


class StudySearch(Search):
    def resources(self, studies: list[Study]) -> list[Json]:
        return [rows.study_resource(study) for study in studies]


class ReportSearch(Search):
    """Results and signed readings of the studies found."""

    def resources(self, studies: list[Study]) -> list[Json]:
        found: list[Json] = []
        for study in studies:
            for scan in rows.scans_of(study):
                if analysis := finished_analysis(scan):
                    found.append(rows.result_resource(scan, analysis))
            readings = Reading.objects.filter(scans__series__study=study, superseded_by=None).distinct()
            found += [rows.reading_resource(reading) for reading in readings]
        return found


def _analysis(scan: Scan) -> Analysis:
    analysis = finished_analysis(scan)
    if analysis is None:
        raise CodedError("not_ready", status=404)
    return analysis


def _reading(request: Request, key: uuid.UUID) -> Reading | None:
    """The latest reading of the line that begins with this one."""
    visible = for_sites(Reading.objects.select_related("reader", "site"), request.user, "scan.view")
    reading = visible.filter(pk=key, supersedes=None).first()
    while reading and (later := visible.filter(supersedes=reading).first()):
        reading = later
    return reading


def _studies(request: Any) -> Any:
    studies = Study.objects.select_related("patient", "site")
    return for_sites(studies, request.user, "scan.view")
