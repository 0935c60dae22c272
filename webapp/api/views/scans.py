"""Scans over HTTP: hand one in, list them, ask what became of one, look at it, mend where it is filed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.models import User
from webapp.accounts.services import can, for_sites
from webapp.analysis.selectors import scan_analyses, with_answers
from webapp.analysis.services import analysis_retry, scan_refile
from webapp.analysis.state import current_analysis
from webapp.api.archives import MOST_MEMBERS, archive_answer
from webapp.api.filters import ScanFilter
from webapp.api.intake import bounded, idempotency_key, said_once
from webapp.api.resource import Listing, Resource
from webapp.api.serializers.scans import (
    MoveSerializer,
    ScanRowSerializer,
    ScanSerializer,
    ScanUploadSerializer,
    scan_answer,
    scan_row,
)
from webapp.api.waiting import LONGEST, seconds_to_wait, wait_until_finished
from webapp.core.errors import CodedError
from webapp.scans.models import Patient, Scan, Upload
from webapp.scans.patients.identity import patient_find_or_create, patients_meant
from webapp.scans.patients.pseudonymity import known_as
from webapp.scans.selectors import (
    patient_or_404,
    scan_or_404,
    scan_or_upload,
    scans_visible,
    upload_or_404,
)
from webapp.scans.services import upload_retry, upload_store
from webapp.scans.uploads.idempotency import upload_once
from webapp.scans.uploads.stated_metadata import Claim

KEY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 200 printable ASCII characters. Sent again with the same file and claim, the first "
    "answer's status is given again and nothing is stored twice; with others, 409 idempotency_key_reused.",
    pattern=r"^[\x21-\x7e]{1,200}$",
)


class ScanCollection(Listing):
    needs = {"GET": "scan.view", "POST": "scan.upload"}
    parser_classes = [MultiPartParser]
    queryset = Scan.objects.none()
    filterset_class = ScanFilter
    order = ("received_at", "pk")

    def rows(self) -> Any:
        return with_answers(for_sites(Scan.objects.all(), self.request.user, "scan.view"))

    def answer(self, rows: list[Scan]) -> list[dict[str, Any]]:
        return [scan_row(scan) for scan in rows]

    @extend_schema(operation_id="scans_list", responses=ScanRowSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The scans, newest arrival first, each with the answer that speaks for it."""
        return self.listed(request)

    @extend_schema(
        operation_id="scan_upload",
        parameters=[KEY_HEADER],
        request={"multipart/form-data": ScanUploadSerializer},
        responses={
            201: ScanSerializer,
            200: OpenApiResponse(ScanSerializer, description="The same bytes were handed in before"),
        },
    )
    def post(self, request: Request) -> Response:
        """Hand in one image, or a ZIP of many; the `id` is good for `GET /scans/{id}/` from now on."""
        key = idempotency_key(request)
        with bounded(request):
            form = ScanUploadSerializer(data=request.data)
        said_once(request, form.fields)
        form.is_valid(raise_exception=True)
        fields = form.validated_data
        file = fields.pop("file")
        asked = {
            "user": request.user,
            "site": self.site,
            "chunks": file.chunks(),
            "filename": file.name,
            "claim": Claim.parse(**fields),
        }
        replayed = False
        if key:
            upload, created, replayed = upload_once(key=key, **asked)
        else:
            upload, created = upload_store(**asked)
        headers = {"Location": reverse("api-scan", args=[upload.pk])}
        return Response(
            told(upload, reads=can(request.user, "scan.view", self.site)),
            status=status.HTTP_201_CREATED if created else status.HTTP_200_OK,
            headers=headers | ({"Idempotency-Replayed": "true"} if replayed else {}),
        )


def told(upload: Upload, *, reads: bool) -> dict[str, Any]:
    """What became of an upload; who may not read scans learns of no patient and no result."""
    scan = Scan.objects.filter(pk=upload.pk).select_related("upload", "series__study__patient").first()
    if scan and reads:
        return scan_answer(scan, scan_analyses(scan))
    if upload.is_unpacked and reads:
        return archive_answer(upload)
    return scan_answer(upload, []) | ({} if reads else {"patient_id": None})


class ScanDetail(Resource):
    needs = {"GET": "scan.view"}
    params = ("members_from", "wait")

    @extend_schema(
        operation_id="scan_retrieve",
        parameters=[
            OpenApiParameter(
                "members_from",
                {"type": "integer", "minimum": 0, "maximum": 999_999_999},
                description=f"the first member of an archive to tell; {MOST_MEMBERS} are told at once",
            ),
            OpenApiParameter(
                "wait",
                {"type": "integer", "minimum": 0, "maximum": LONGEST},
                description="seconds to wait for the result, if it is still to come; the answer may come "
                "earlier without one, so ask again until `status` says that it is finished",
            ),
        ],
        responses=ScanSerializer,
    )
    def get(self, request: Request, scan_id: UUID) -> Response:
        """What became of a scan: its status and every analysis with probabilities and activation maps.

        Of an archive: its members, each of which has an `id` of its own to ask for, and what was skipped.
        """
        first = request.query_params.get("members_from") or "0"
        if not (first.isascii() and first.isdecimal() and len(first) < 10):
            raise CodedError("invalid", fields={"members_from": ["A whole number is needed."]})
        seconds = seconds_to_wait(request.query_params.get("wait"))
        record = scan_or_upload(scan_id, request.user)
        if seconds:
            wait_until_finished(record.upload_id if isinstance(record, Scan) else record.pk, seconds)
            record = scan_or_upload(scan_id, request.user)
        return Response(record_answer(record, first=int(first)))


def scan_by_id(user: User, scan_id: UUID, permission: str = "scan.view") -> Scan:
    """Raises CodedError `not_found`, and `not_ready` for an upload that is no scan."""
    scan = scans_visible(user, permission).filter(pk=scan_id).first()
    if scan is None:
        upload_or_404(user, scan_id, permission)
        raise CodedError("not_ready", "This upload is no scan.", "Ask for its status, and go on once it is.")
    return scan


def record_answer(record: Scan | Upload, *, first: int = 0) -> dict[str, Any]:
    if isinstance(record, Upload) and record.is_unpacked:
        return archive_answer(record, first=first)
    return scan_answer(record, scan_analyses(record) if isinstance(record, Scan) else [])


class ScanRetry(Resource):
    needs = {"POST": "scan.upload"}

    @extend_schema(operation_id="scan_retry", request=None, responses=ScanSerializer)
    def post(self, request: Request, scan_id: UUID) -> Response:
        """Try again what failed: the reading of the file, or the analysis; else 409 `conflict`."""
        found = scan_or_upload(scan_id, request.user)
        if isinstance(found, Upload):
            upload_retry(upload=found, actor=request.user)
        else:
            analysis = current_analysis(found.analyses.all())
            if analysis is None:
                raise CodedError("conflict", "No model has answered this scan yet.", "Wait for a model.")
            analysis_retry(analysis=analysis, actor=request.user)
        return Response(record_answer(scan_or_upload(scan_id, request.user)))


class ScanMove(Resource):
    needs = {"POST": "scan.move"}

    @extend_schema(operation_id="scan_move", request=MoveSerializer, responses=ScanSerializer)
    def post(self, request: Request, scan_id: UUID) -> Response:
        """File the scan to another patient of its site; honours If-Match with the ETag of the scan."""
        scan = scan_by_id(request.user, scan_id, "scan.move")
        fields = self.read(request, MoveSerializer)
        self.expect(request, lambda: record_answer(scan))
        patient = self._whom(scan, fields)
        scan_refile(scan=scan, patient=patient, actor=request.user, reason=fields["reason"])
        return Response(record_answer(scan_or_404(request.user, scan_id, "scan.move")))

    def _whom(self, scan: Scan, fields: dict[str, Any]) -> Patient:
        if "patient" in fields:
            return patient_or_404(self.request.user, fields["patient"], "scan.move")
        identifier = known_as(scan.site, fields["patient_id"])
        if not fields["new"] and not patients_meant(site=scan.site, identifiers=[identifier]):
            raise CodedError(
                "claim_invalid",
                "No patient of this site has that identifier.",
                "Check it, or send new: true to make a new patient.",
            )
        return patient_find_or_create(site=scan.site, patient_id=identifier)
