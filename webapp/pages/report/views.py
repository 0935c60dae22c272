"""A scan's report: print view, image and PDF."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from webapp.accounts.permissions import Permission
from webapp.accounts.services import can, signed_in
from webapp.audit.services import record
from webapp.labels.marks.key_images import key_image_or_404
from webapp.pages.report.content import report_of
from webapp.pages.report.images import as_png, side_by_side
from webapp.pages.report.key_image import key_view
from webapp.pages.report.sent import drawn_pdf
from webapp.results.selectors import requestable
from webapp.scans.models import Scan
from webapp.scans.selectors import scan_or_404


@require_safe
def page(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    scan = scan_or_404(request.user, scan_id)
    report = report_of(request, scan)
    _record(request, scan, "page")
    may_send = can(request.user, Permission.RESULT_SEND, scan.site)
    destinations = requestable(scan.site) if may_send else []
    return render(request, "report/report.html", {"report": report, "destinations": destinations})


@require_safe
def image(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """The image without and with heatmap, side by side."""
    scan = scan_or_404(request.user, scan_id)
    report = report_of(request, scan)
    response = HttpResponse(
        as_png(side_by_side(scan, report.cam, report.cam_finding)), content_type="image/png"
    )
    patch_cache_control(response, private=True, no_store=True)
    return response


@require_safe
def key_image(request: HttpRequest, key_image_id: UUID) -> HttpResponse:
    """A key image as it was marked, with the heatmap of the current result and the current marks."""
    found = key_image_or_404(signed_in(request.user), key_image_id)
    report = report_of(request, found.scan)
    drawn = key_view(found.scan, found.view, report.cam, report.marks)
    response = HttpResponse(as_png(drawn), content_type="image/png")
    patch_cache_control(response, private=True, no_store=True)
    return response


@require_safe
def pdf(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    scan = scan_or_404(request.user, scan_id)
    made = drawn_pdf(report_of(request, scan))
    _record(request, scan, "pdf")
    response = HttpResponse(made, content_type="application/pdf")
    # No patient name: the file may stay in the downloads of a shared computer.
    response["Content-Disposition"] = f'inline; filename="hilum-report-{str(scan.pk)[:8]}.pdf"'
    return response


def _record(request: HttpRequest, scan: Scan, kind: str) -> None:
    record(actor=request.user, site=scan.site, action="report.made", subject=scan, detail={"as": kind})
