"""Uploading: the page, one raw body a file, and the states of many uploads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from classifier.data.tables.manifest import ManifestLine
from classifier.images.archive.listing import ARCHIVE_ADVICE, TOO_MUCH
from classifier.images.limits import MAX_FILE_BYTES
from classifier.reasons import ADVICE, RefusalReason
from webapp.accounts.models import Site, User
from webapp.accounts.services import can, demand, for_sites, signed_in
from webapp.analysis.state import state_of_scan, state_of_upload
from webapp.audit.access import record_search
from webapp.core.errors import CodedError
from webapp.core.http.json_body import parse_json
from webapp.core.queries import get_or_404
from webapp.core.spreadsheets import check_size
from webapp.labels.read_first import HiddenResults
from webapp.pages.access import active_site, at_active_site
from webapp.pages.display import date_of
from webapp.pages.manifest_preview import DATE_ORDERS, ENCODINGS, preview_of, reading_of
from webapp.pages.patients.display import known_patients, label_of
from webapp.pages.request_data import body_chunks, declared_size, posted_ids, upload_header
from webapp.pages.scan.state_display import hidden_display, state_display
from webapp.pages.upload.archives import archive_rows, state_values
from webapp.scans.models import Upload
from webapp.scans.services import upload_retry, upload_store
from webapp.scans.uploads.capacity import demand_capacity
from webapp.scans.uploads.manifest import checked, date_order_remember, manifest_read, naming
from webapp.scans.uploads.stated_metadata import StatedMetadata

RECENT = timedelta(hours=24)
RECENT_AT_MOST = 100
STATED = ("patient_id", "study", "date", "modality", "view", "sex", "age", "date_relative")


@require_safe
@at_active_site("scan.upload")
def page(request: HttpRequest) -> HttpResponse:
    mine = Upload.objects.filter(
        site=active_site(request),
        user=request.user,
        parent=None,
        created_at__gte=timezone.now() - RECENT,
    )
    recent = mine.order_by("-created_at")[:RECENT_AT_MOST]
    context = {
        "limit": MAX_FILE_BYTES,
        "archive_limit": settings.HILUM_MAX_ARCHIVE_BYTES,
        "too_large": ADVICE[RefusalReason.TOO_LARGE],
        "too_much": ARCHIVE_ADVICE[TOO_MUCH],
        "recent": upload_rows(recent, request.user),
        "date_orders": DATE_ORDERS,
        "encodings": ENCODINGS,
    }
    return render(request, "upload/upload.html", context)


@require_POST
@at_active_site("scan.upload")
def file(request: HttpRequest) -> JsonResponse:
    """Upload one file as a raw body, described by the header X-Hilum-Upload.

    Permission and declared size are checked before the body is read, and the size again when the first bytes
    show whether it is an archive, which may be larger. 201 for a new upload, 200 for an earlier one.
    """
    site, size = active_site(request), declared_size(request)
    demand_capacity(user=signed_in(request.user), site=site)
    header = upload_header(request)
    stated = {key: str(header.get(key) or "") for key in STATED}
    upload, created = upload_store(
        user=request.user,
        site=site,
        chunks=body_chunks(request, size),
        declared=size,
        filename=str(header.get("filename") or "")[:255],
        stated=StatedMetadata.parse(**stated),
    )
    (row,) = upload_rows(Upload.objects.filter(pk=upload.pk), request.user)
    return JsonResponse(row | {"created": created}, status=201 if created else 200)


@require_POST
@at_active_site("scan.upload")
def manifest(request: HttpRequest) -> JsonResponse:
    """The rows of a CSV and its preview: POST `table`, `date_order`, `encoding`, `names` of files."""
    site = active_site(request)
    read = manifest_rows(request, site)
    date_order_remember(site=site, actor=signed_in(request.user), order=reading_of(request).dates)
    return JsonResponse(read)


def manifest_rows(request: HttpRequest, site: Site) -> dict[str, Any]:
    """What the page needs of a posted manifest; raises CodedError `empty_file`, `invalid`, `too_large`."""
    if "table" not in request.FILES:
        raise CodedError("empty_file")
    file = request.FILES["table"]
    check_size(file.size)
    read = checked(
        manifest_read(
            site=site,
            data=file.read(),
            name=file.name,
            reading=reading_of(request),
            fits=_naming(request),
        )
    )
    return {
        "lines": [_line(line) for line in read.lines],
        "unclear": read.dates_unclear,
        "preview": render_to_string("upload/_manifest.html", preview_of(read)),
    }


def _naming(request: HttpRequest) -> Callable[[str], bool]:
    """Whether a text names one of the files that were dropped with it."""
    try:
        return naming(parse_json(request.POST.get("names") or "[]"))
    except (ValueError, TypeError) as error:
        raise CodedError("invalid") from error


def _line(line: ManifestLine) -> dict[str, Any]:
    values = {name: line.get(name) for name in ("image", "patient", "view", "sex", "age")}
    day = line.date.isoformat() if line.date else ""
    return {"number": line.number, "date": day, "offset": line.offset_days, **values}


@require_POST
@at_active_site("scan.view")
def patients(request: HttpRequest) -> JsonResponse:
    """The site's patients with the identifiers of the JSON body `{"ids": […]}`."""
    site, ids = active_site(request), posted_ids(request)
    record_search(user=signed_in(request.user), site=site, where="upload", terms=ids)
    return JsonResponse({"patients": known_patients(ids, site=site)})


@require_POST
@at_active_site("scan.upload")
def states(request: HttpRequest) -> JsonResponse:
    """The rows of the uploads in the JSON body `{"ids": […]}`; those of other sites are left out."""
    try:
        ids = [UUID(value) for value in posted_ids(request)]
    except ValueError as error:
        raise CodedError("invalid") from error
    uploads = for_sites(Upload.objects.filter(pk__in=ids), request.user, "scan.upload")
    return JsonResponse({"uploads": {row["id"]: row for row in upload_rows(uploads, request.user)}})


@require_POST
def retry(request: HttpRequest, upload_id: UUID) -> JsonResponse:
    upload = get_or_404(for_sites(Upload.objects.all(), request.user, "scan.view"), upload_id)
    demand(request.user, "scan.upload", upload.site)
    upload_retry(upload=upload, actor=request.user)
    return JsonResponse(upload_rows(Upload.objects.filter(pk=upload_id), request.user)[0])


def upload_rows(uploads: QuerySet[Upload], user: User) -> list[dict[str, Any]]:
    """The uploads as rows of the page, in a fixed number of queries for each site.

    Patient and result are included only where the user may view scans.
    """
    uploads = uploads.select_related("site").prefetch_related(
        "scans__series__study__patient",
        "scans__analyses__model_version",
        "scans__analyses__calibration",
    )
    viewable = {site for site in {upload.site for upload in uploads} if can(user, "scan.view", site)}
    archives, hiding = archive_rows(uploads), HiddenResults(user)
    hiding.prepare(scan.study.pk for upload in uploads for scan in upload.scans.all())
    return [
        _row(upload, full=upload.site in viewable, hiding=hiding) | archives.get(upload.pk, {})
        for upload in uploads
    ]


def _row(upload: Upload, *, full: bool, hiding: HiddenResults) -> dict[str, Any]:
    """One upload's row, with the result of its first scan."""
    scan = next(iter(upload.scans.all()), None) if full else None
    hidden = scan is not None and hiding.of(scan.study.pk, upload.site_id)
    state = (hidden_display if hidden else state_display)(
        state_of_scan(scan.analyses.all()) if scan else state_of_upload(upload)
    )
    row = {
        "id": str(upload.pk),
        "name": upload.label,
        "size": upload.size,
        "status": upload.status,
        "code": state.code,
        "ok": state.has_result,
        "can_retry": upload.status == Upload.Status.FAILED,
        **state_values(state),
    }
    if scan is None:
        return row
    study = scan.study
    patient = {"label": label_of(study.patient), "href": reverse("pages:patient", args=[study.patient_id])}
    date = date_of(study)
    return row | {"href": reverse("pages:scan", args=[scan.pk]), "patient": patient, "date": date}
