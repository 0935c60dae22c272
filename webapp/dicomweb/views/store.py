"""STOW-RS: store instances (PS3.18 section 10.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from webapp.accounts.services import signed_in
from webapp.core.errors import CodedError
from webapp.dicom.multipart import Reader, boundary_of
from webapp.dicom.storing import Outcome, part_store
from webapp.dicomweb.dicom_json import as_json
from webapp.dicomweb.views.base import json_response, url_of
from webapp.dicomweb.views.query import StudySearch
from webapp.scans.uploads.capacity import demand_capacity


class Studies(StudySearch):
    """Search by GET; store by POST, into a named study where the path has one."""

    http_method_names = ["get", "head", "post", "options"]

    def post(self, request: Request, study: str = "") -> HttpResponse:
        boundary = boundary_of(request.headers.get("Content-Type", ""))
        demand_capacity(user=signed_in(request.user), site=self.site)
        # The parts are read from the connection: nothing of them is kept that was not stored.
        reader = Reader(body_of(request), boundary)
        outcomes = [
            part_store(user=signed_in(request.user), site=self.site, part=part, study=study)
            for part in reader.parts()
        ]
        if not outcomes:
            raise CodedError("invalid", "The body has no parts.", "Send at least one instance.")
        return json_response(self._report(outcomes, study), status=status_of(outcomes))

    def _report(self, outcomes: Iterable[Outcome], study: str) -> dict[str, Any]:
        """The response of table 10.5.3-1, with one entry for each part."""
        stored = [self._stored(one) for one in outcomes if not one.failure]
        failed = [_failed(one) for one in outcomes if one.failure and one.sop_instance]
        other = [{"FailureReason": one.failure} for one in outcomes if one.failure and not one.sop_instance]
        studies = {one.study for one in outcomes if not one.failure} or ({study} if study else set())
        report: dict[str, Any] = {}
        if len(studies) == 1:
            report["RetrieveURL"] = url_of(self.request, "study", studies.pop())
        sequences = {"ReferencedSOPSequence": stored, "FailedSOPSequence": failed}
        sequences["OtherFailuresSequence"] = other
        return as_json(report | {name: items for name, items in sequences.items() if items})

    def _stored(self, one: Outcome) -> dict[str, Any]:
        url = url_of(self.request, "instance", one.study, one.series, one.sop_instance)
        own = {"ReferencedSOPClassUID": one.sop_class, "ReferencedSOPInstanceUID": one.sop_instance}
        return own | {"RetrieveURL": url}


def body_of(request: Request) -> Callable[[int], bytes]:
    """How the body is read: Django reads nothing of one that comes in chunks, as PACS send it."""
    environ = request._request.META
    chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    if chunked and environ.get("wsgi.input_terminated"):
        return environ["wsgi.input"].read
    return request._request.read


def status_of(outcomes: list[Outcome]) -> int:
    """200: all stored; 202: some; 409: none (PS3.18 table 10.5.3-1)."""
    failed = sum(bool(one.failure) for one in outcomes)
    if not failed:
        return 200
    return 409 if failed == len(outcomes) else 202


def _failed(one: Outcome) -> dict[str, Any]:
    own = {"ReferencedSOPClassUID": one.sop_class, "ReferencedSOPInstanceUID": one.sop_instance}
    return own | {"FailureReason": one.failure}
