"""Scans over HTTP: hand one in, ask what became of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from webapp.accounts.authentication import TokenAuthentication
from webapp.accounts.services import can
from webapp.analysis.selectors import scan_analyses
from webapp.api.access import FileLimit, check_declared_size, site_granting
from webapp.api.archives import MOST_MEMBERS, archive_answer
from webapp.api.serializers import ProblemSerializer, ScanSerializer, ScanUploadSerializer, scan_answer
from webapp.core.errors import CodedError
from webapp.scans.claims import Claim
from webapp.scans.models import Scan, Upload
from webapp.scans.selectors import scan_or_upload
from webapp.scans.services import upload_store

PROBLEM = OpenApiResponse(ProblemSerializer, description="Problem details (RFC 9457)")


class ScanCollection(APIView):
    # Bearer tokens only: the session's CSRF check would read the body before permission is checked.
    authentication_classes = [TokenAuthentication]
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="scan_upload",
        request={"multipart/form-data": ScanUploadSerializer},
        responses={
            201: ScanSerializer,
            200: OpenApiResponse(ScanSerializer, description="The same bytes were handed in before"),
            **dict.fromkeys((400, 401, 403, 409, 411, 413, 415), PROBLEM),
        },
    )
    def post(self, request: Request) -> Response:
        """Hand in one image, or a ZIP of many; the `id` is good for `GET /scans/{id}/` from now on."""
        site = site_granting(request, "scan.upload")
        check_declared_size(request, settings.HILUM_MAX_ARCHIVE_BYTES)
        limit = FileLimit(request._request)
        request._request.upload_handlers.insert(0, limit)
        form = ScanUploadSerializer(data=request.data)
        limit.check()
        form.is_valid(raise_exception=True)
        fields = form.validated_data
        file = fields.pop("file")
        upload, created = upload_store(
            user=request.user,
            site=site,
            chunks=file.chunks(),
            filename=file.name,
            claim=Claim.parse(**fields),
        )
        return Response(
            _told(upload, reads=can(request.user, "scan.view", site)),
            status=status.HTTP_201_CREATED if created else status.HTTP_200_OK,
            headers={"Location": reverse("api-scan", args=[upload.pk])},
        )


def _told(upload: Upload, *, reads: bool) -> dict[str, Any]:
    """What became of an upload; who may not read scans learns of no patient and no result."""
    scan = Scan.objects.filter(pk=upload.pk).select_related("upload", "series__study__patient").first()
    if scan and reads:
        return scan_answer(scan, scan_analyses(scan))
    if upload.is_unpacked and reads:
        return archive_answer(upload)
    return scan_answer(upload, []) | ({} if reads else {"patient_id": None})


class ScanDetail(APIView):
    authentication_classes = [TokenAuthentication]

    @extend_schema(
        operation_id="scan_retrieve",
        parameters=[
            OpenApiParameter(
                "members_from",
                int,
                description=f"the first member of an archive to tell; {MOST_MEMBERS} are told at once",
            )
        ],
        responses={200: ScanSerializer, **dict.fromkeys((400, 401, 403, 404), PROBLEM)},
    )
    def get(self, request: Request, scan_id: UUID) -> Response:
        """What became of a scan: its status and every analysis with probabilities and activation maps.

        Of an archive: its members, each of which has an `id` of its own to ask for, and what was skipped.
        """
        site_granting(request, "scan.view")
        record = scan_or_upload(scan_id, request.user)
        if isinstance(record, Upload) and record.is_unpacked:
            first = request.query_params.get("members_from") or "0"
            if not (first.isdecimal() and len(first) < 10):
                raise CodedError("invalid")
            return Response(archive_answer(record, first=int(first)))
        return Response(scan_answer(record, scan_analyses(record) if isinstance(record, Scan) else []))
