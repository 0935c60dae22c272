"""Scans: upload one, list them, get its result, retry, move to another patient, download the file."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import FileResponse, HttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.models import User
from webapp.accounts.services import can, signed_in
from webapp.analysis.selectors import with_list_columns
from webapp.analysis.services import analysis_retry
from webapp.analysis.state import current_analysis
from webapp.api.examples import MOVE_EXAMPLE, SCAN_EXAMPLE
from webapp.api.filters import ScanFilter
from webapp.api.request_bodies import DicomParser, check_declared_size, chunks_of, idempotency_key
from webapp.api.resource import ListResource, Resource, file_renderer
from webapp.api.schema import file_response, operation
from webapp.api.serializers.scan_record import MEMBERS_AT_ONCE, ScanRecord
from webapp.api.serializers.scans import (
    ScanMoveSerializer,
    ScanRowSerializer,
    ScanSerializer,
    ScanUploadSerializer,
)
from webapp.api.waiting import LONGEST, seconds_to_wait, wait_until_finished
from webapp.audit.services import record as audit
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.core.http.current import note_read
from webapp.scans.models import Patient, Scan, Upload
from webapp.scans.patients.corrections import scan_move
from webapp.scans.patients.identity import patient_find_or_create, patients_meant
from webapp.scans.patients.pseudonymity import known_as
from webapp.scans.selectors import patient_or_404, scan_or_404, scan_or_upload, scans_visible, upload_or_404
from webapp.scans.services import upload_retry, upload_store
from webapp.scans.uploads.capacity import demand_capacity
from webapp.scans.uploads.idempotency import upload_once
from webapp.scans.uploads.stated_metadata import StatedMetadata

KEY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 200 printable ASCII characters. A repetition with the same key, file and metadata "
    "returns the status of the first and stores nothing; with others, 409 idempotency_key_reused.",
    pattern=r"^[\x21-\x7e]{1,200}$",
)


class ScanCollection(ListResource):
    """List scans, newest first, each with its current result."""

    name = "scans_list"
    needs = {"GET": "scan.view", "POST": "scan.upload"}
    parser_classes = [MultiPartParser, DicomParser]
    queryset = Scan.objects.all()
    filterset_class = ScanFilter
    serializer_class = ScanRowSerializer
    order = ("received_at", "pk")

    def decorate(self, rows: Any) -> Any:
        return with_list_columns(rows)

    @operation(
        "scan_upload",
        body=ScanUploadSerializer,
        parameters=[KEY_HEADER],
        request={"multipart/form-data": ScanUploadSerializer, "application/dicom": OpenApiTypes.BINARY},
        returns={
            201: ScanSerializer,
            200: OpenApiResponse(ScanSerializer, description="The same file was uploaded before"),
        },
        examples=[SCAN_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        """Upload an image, or a ZIP of images.

        `GET /scans/{id}/` returns its status from then on. A DICOM file can be sent as a raw
        `application/dicom` body too, without stated metadata.
        """
        key = idempotency_key(request)
        demand_capacity(user=signed_in(request.user), site=self.site)
        upload, created, replayed = self._store(key, **self._file())
        headers = {"Location": reverse("api-scan", args=[upload.pk])}
        return Response(
            uploaded(upload, read=can(request.user, "scan.view", self.site)),
            status=201 if created else 200,
            headers=headers | ({"Idempotency-Replayed": "true"} if replayed else {}),
        )

    def _file(self) -> dict[str, Any]:
        if self.request.content_type.partition(";")[0].strip() == DicomParser.media_type:
            check_declared_size(self.request)
            return {"chunks": chunks_of(self.request), "filename": "", "stated": StatedMetadata()}
        fields = self.read()
        file = fields.pop("file")
        return {"chunks": file.chunks(), "filename": file.name, "stated": StatedMetadata.parse(**fields)}

    def _store(self, key: str, **file: Any) -> tuple[Upload, bool, bool]:
        file |= {"user": self.request.user, "site": self.site}
        return upload_once(key=key, **file) if key else (*upload_store(**file), False)


def uploaded(upload: Upload, *, read: bool) -> dict[str, Any]:
    """An upload; callers who may not read scans see no patient and no result."""
    scan = Scan.objects.filter(pk=upload.pk).select_related("upload", "series__study__patient").first()
    found = ScanRecord.of(scan) if scan and read else ScanRecord(upload, read=read)
    return ScanSerializer(found).data


class ScanDetail(Resource):
    needs = {"GET": "scan.view"}
    params = ("members_from", "wait")

    @operation(
        "scan_retrieve",
        parameters=[
            OpenApiParameter(
                "members_from",
                {"type": "integer", "minimum": 0, "maximum": 999_999_999},
                description=f"first member of an archive to return; {MEMBERS_AT_ONCE} are returned at once",
            ),
            OpenApiParameter(
                "wait",
                {"type": "integer", "minimum": 0, "maximum": LONGEST},
                description="seconds to wait for a pending result; the response may come earlier without one",
            ),
        ],
        returns=ScanSerializer,
        examples=[SCAN_EXAMPLE],
    )
    def get(self, request: Request, scan_id: UUID) -> Response:
        """Get a scan with its status and every analysis, with probabilities and activation maps.

        For an archive: its members, each of which has an ID of its own, and what was skipped.
        """
        first = request.query_params.get("members_from") or "0"
        if not (first.isascii() and first.isdecimal() and len(first) < 10):
            raise CodedError("invalid", fields={"members_from": ["Must be an integer."]})
        seconds = seconds_to_wait(request.query_params.get("wait"))
        record = scan_or_upload(scan_id, request.user)
        if seconds:
            wait_until_finished(record.upload_id if isinstance(record, Scan) else record.pk, seconds)
            record = scan_or_upload(scan_id, request.user)
        return Response(represent(record, first=int(first)))


def scan_by_id(user: User, scan_id: UUID, permission: str = "scan.view") -> Scan:
    """Raises CodedError `not_found`, and `not_ready` for an upload that is no scan."""
    scan = scans_visible(user, permission).filter(pk=scan_id).first()
    if scan is None:
        upload_or_404(user, scan_id, permission)
        raise CodedError(
            "not_ready", "This upload is not a scan (yet).", "GET /scans/{id}/ returns its status."
        )
    note_read(scan)
    return scan


def represent(record: Scan | Upload, *, first: int = 0) -> dict[str, Any]:
    return ScanSerializer(ScanRecord.of(record, first=first)).data


class ScanFile(Resource):
    needs = {"GET": "scan.view"}
    renderer_classes = [file_renderer("application/octet-stream"), JSONRenderer]

    @operation("scan_file", returns=file_response("application/octet-stream", "the file"))
    def get(self, request: Request, scan_id: UUID) -> HttpResponse:
        """Download the original file.

        At a site that de-identifies, this is the de-identified file. 404 for an image of an archive or an
        upload whose bytes are not kept. Recorded in the audit log.
        """
        scan = scan_by_id(request.user, scan_id)
        try:
            file = storage.open_file(scan.upload.stored_name)
        except (FileNotFoundError, ValueError) as error:
            raise CodedError(
                "not_found", "The original file is not kept.", "Use display/ for the image."
            ) from error
        audit(actor=request.user, site=scan.site, action="scan.downloaded", subject=scan)
        return FileResponse(
            file, as_attachment=True, filename=str(scan.pk), content_type="application/octet-stream"
        )


class ScanRetry(Resource):
    needs = {"POST": "scan.upload"}

    @operation("scan_retry", returns=ScanSerializer)
    def post(self, request: Request, scan_id: UUID) -> Response:
        """Retry what failed: processing of the file, or the analysis; else 409 `conflict`."""
        found = scan_or_upload(scan_id, request.user)
        if isinstance(found, Upload):
            upload_retry(upload=found, actor=request.user)
        else:
            analysis = current_analysis(found.analyses.all())
            if analysis is None:
                raise CodedError(
                    "conflict", "No model has analysed this scan yet.", "Wait until a model is promoted."
                )
            analysis_retry(analysis=analysis, actor=request.user)
        return Response(represent(scan_or_upload(scan_id, request.user)))


class ScanMove(Resource):
    needs = {"POST": "scan.move"}

    @operation("scan_move", body=ScanMoveSerializer, returns=ScanSerializer, examples=[MOVE_EXAMPLE])
    def post(self, request: Request, scan_id: UUID) -> Response:
        """Move a scan to another patient of its site.

        Honours If-Match with the ETag of the scan.
        """
        scan = scan_by_id(request.user, scan_id, "scan.move")
        fields = self.read()
        self.expect(lambda: represent(scan))
        scan_move(scan=scan, patient=self._target(scan, fields), actor=request.user, reason=fields["reason"])
        return Response(represent(scan_or_404(request.user, scan_id, "scan.move")))

    def _target(self, scan: Scan, fields: dict[str, Any]) -> Patient:
        if "patient_uuid" in fields:
            return patient_or_404(self.request.user, fields["patient_uuid"], "scan.move")
        identifier = known_as(scan.site, fields["patient_id"])
        if not fields["create"] and not patients_meant(site=scan.site, identifiers=[identifier]):
            raise CodedError(
                "metadata_invalid",
                "No patient of this site has this patient ID.",
                "Check it, or send create: true to create the patient.",
            )
        return patient_find_or_create(site=scan.site, patient_id=identifier)
