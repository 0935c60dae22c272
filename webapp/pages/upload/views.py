"""Uploading: the page, one raw body a file, and the states of many uploads at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from classifier.contract import ADVICE, RefusalReason
from classifier.images.archive.listing import ARCHIVE_ADVICE, TOO_MUCH
from classifier.images.limits import MAX_FILE_BYTES
from webapp.accounts.models import User
from webapp.accounts.services import can, for_sites
from webapp.analysis.state import state_of_scan, state_of_upload
from webapp.core.errors import CodedError
from webapp.pages.access import active_site, at_active_site, demand
from webapp.pages.display import moment
from webapp.pages.patients.display import label_of, whom_they_name
from webapp.pages.scan.outcome import outcome_of
from webapp.pages.upload.archives import archive_answers
from webapp.scans.models import Upload
from webapp.scans.services import upload_retry, upload_store
from webapp.scans.uploads.stated_metadata import Claim

CHUNK = 1 << 18
MOST_IDS = 500
RECENT = timedelta(hours=24)
MOST_RECENT = 100


@require_safe
@at_active_site("scan.upload")
def page(request: HttpRequest) -> HttpResponse:
    mine = Upload.objects.filter(
        site=active_site(request),
        user=request.user,
        parent=None,
        created_at__gte=timezone.now() - RECENT,
    )
    recent = mine.order_by("-created_at")[:MOST_RECENT]
    context = {
        "limit": MAX_FILE_BYTES,
        "archive_limit": settings.HILUM_MAX_ARCHIVE_BYTES,
        "too_large": ADVICE[RefusalReason.TOO_LARGE],
        "too_much": ARCHIVE_ADVICE[TOO_MUCH],
        "recent": answers(recent, request.user),
    }
    return render(request, "upload/upload.html", context)


@require_POST
@at_active_site("scan.upload")
def file(request: HttpRequest) -> JsonResponse:
    """Take one file as the raw body; what is claimed of it comes in the header X-Hilum-Upload.

    Permission and declared size are judged before the first byte is read, and the size once more when the
    first bytes tell a single image from an archive, which may be larger. 201 for a new upload, 200 for one
    that was here already; raises CodedError with the code that the page shows.
    """
    size = declared_size(request)
    said = said_of_it(request)
    upload, created = upload_store(
        user=request.user,
        site=active_site(request),
        chunks=body(request, size),
        declared=size,
        filename=str(said.get("filename") or "")[:255],
        claim=Claim.parse(**{k: str(said.get(k) or "") for k in ("patient_id", "study", "date", "modality")}),
    )
    (said,) = answers(Upload.objects.filter(pk=upload.pk), request.user)
    return JsonResponse(said | {"created": created}, status=201 if created else 200)


@require_POST
@at_active_site("scan.view")
def patients(request: HttpRequest) -> JsonResponse:
    """Which of the identifiers in the JSON body `{"ids": […]}` the site knows: whom a file would join."""
    return JsonResponse({"patients": whom_they_name(posted_ids(request), site=active_site(request))})


@require_POST
@at_active_site("scan.upload")
def states(request: HttpRequest) -> JsonResponse:
    """How the uploads named in the JSON body `{"ids": […]}` stand; those of other sites are left out."""
    try:
        ids = [UUID(value) for value in posted_ids(request)]
    except ValueError as error:
        raise CodedError("invalid") from error
    uploads = for_sites(Upload.objects.filter(pk__in=ids), request.user, "scan.upload")
    return JsonResponse({"uploads": {said["id"]: said for said in answers(uploads, request.user)}})


@require_POST
def retry(request: HttpRequest, upload_id: UUID) -> JsonResponse:
    upload = for_sites(Upload.objects.filter(pk=upload_id), request.user, "scan.view").first()
    if upload is None:
        raise CodedError("not_found")
    demand(request, "scan.upload", upload.site)
    upload_retry(upload=upload, actor=request.user)
    return JsonResponse(answers(Upload.objects.filter(pk=upload_id), request.user)[0])


def posted_ids(request: HttpRequest) -> list[str]:
    """The `ids` of a JSON body; raises CodedError `invalid`."""
    try:
        return [str(value) for value in json.loads(request.body)["ids"][:MOST_IDS]]
    except (ValueError, KeyError, TypeError) as error:
        raise CodedError("invalid") from error


def declared_size(request: HttpRequest) -> int:
    """The body's size by its header; raises CodedError `length_required`, `empty_file`, `too_large`."""
    try:
        size = int(request.headers.get("Content-Length") or "")
    except ValueError as error:
        raise CodedError("length_required") from error
    if size <= 0:
        raise CodedError("empty_file")
    if size > settings.HILUM_MAX_ARCHIVE_BYTES:
        raise CodedError("too_large")
    return size


def said_of_it(request: HttpRequest) -> dict[str, Any]:
    try:
        said = json.loads(unquote(request.headers.get("X-Hilum-Upload") or "{}"))
    except ValueError as error:
        raise CodedError("invalid") from error
    if not isinstance(said, dict):
        raise CodedError("invalid")
    return said


def body(request: HttpRequest, size: int) -> Iterator[bytes]:
    """The body in chunks; raises CodedError `incomplete` when it ends before its declared size."""
    left = size
    while left > 0:
        chunk = request.read(min(CHUNK, left))
        if not chunk:
            raise CodedError("incomplete")
        left -= len(chunk)
        yield chunk


def answers(uploads: QuerySet[Upload], user: User) -> list[dict[str, Any]]:
    """The uploads as the page's rows show them, in a fixed number of queries for each site.

    Patient and result are told only where the user may view scans; handing files in is not enough.
    """
    full = uploads.select_related("site").prefetch_related(
        "scans__series__study__patient", "scans__analyses__model_version"
    )
    sites = {upload.site for upload in full}
    open_sites = {site for site in sites if can(user, "scan.view", site)}
    archives = archive_answers(full)
    return [
        answer(upload, in_full=upload.site in open_sites) | archives.get(upload.pk, {}) for upload in full
    ]


def answer(upload: Upload, *, in_full: bool) -> dict[str, Any]:
    """One upload's row; a result is given for its first scan."""
    scan = next(iter(upload.scans.all()), None) if in_full else None
    outcome = outcome_of(state_of_scan(scan.analyses.all()) if scan else state_of_upload(upload))
    found = {
        "id": str(upload.pk),
        "name": upload.called,
        "size": upload.size,
        "status": upload.status,
        "text": outcome.sentence,
        "remedy": outcome.remedy,
        "code": outcome.code,
        "dot": outcome.dot,
        "finished": not outcome.pending,
        "ok": outcome.kind == "answered",
        "again": upload.status == Upload.Status.FAILED,
    }
    if scan is None:
        return found
    study = scan.study
    patient = {"label": label_of(study.patient), "href": reverse("pages:patient", args=[study.patient_id])}
    date = moment(study.study_date, study.study_time)
    return found | {"href": reverse("pages:scan", args=[scan.pk]), "patient": patient, "date": date}
