"""A scan's report: a page to print, its image, and the PDF."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from webapp.audit.services import record
from webapp.pages.report.content import report_of
from webapp.pages.report.images import as_png, side_by_side
from webapp.scans.models import Scan
from webapp.scans.selectors import scan_or_404


@require_safe
def page(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    scan = scan_or_404(request.user, scan_id)
    _trace(request, scan, "page")
    return render(request, "report/report.html", {"report": report_of(request, scan)})


@require_safe
def image(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """The image and the image under its heatmap, side by side."""
    scan = scan_or_404(request.user, scan_id)
    report = report_of(request, scan)
    response = HttpResponse(
        as_png(side_by_side(scan, report.cam, report.cam_finding)), content_type="image/png"
    )
    patch_cache_control(response, private=True, no_store=True)
    return response


@require_safe
def pdf(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    # reportlab takes a while to load, and few processes ever make a report.
    from webapp.pages.report.pdf import pdf_of

    scan = scan_or_404(request.user, scan_id)
    report = report_of(request, scan)
    made = pdf_of(report, side_by_side(scan, report.cam, report.cam_finding))
    _trace(request, scan, "pdf")
    response = HttpResponse(made, content_type="application/pdf")
    # A name of ours: the patient's would stay behind in the downloads of a shared machine.
    response["Content-Disposition"] = f'inline; filename="hilum-report-{str(scan.pk)[:8]}.pdf"'
    return response


def _trace(request: HttpRequest, scan: Scan, kind: str) -> None:
    record(actor=request.user, site=scan.site, action="report.made", subject=scan, detail={"as": kind})
