"""The report as a PDF file: for its page, and for results that are sent without anybody asking."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import timezone

from webapp.pages.report.content import Report, report_content
from webapp.pages.report.images import side_by_side
from webapp.pages.report.key_image import key_view
from webapp.scans.models import Scan


def drawn_pdf(report: Report) -> bytes:
    """Raises CodedError `unavailable` where the image is missing."""
    # reportlab is slow to import and rarely needed.
    from webapp.pages.report.pdf import pdf_of

    views = [key_view(report.scan, one["view"], report.cam, report.marks) for one in report.key_images]
    return pdf_of(report, side_by_side(report.scan, report.cam, report.cam_finding), views)


def sent_report(scan: Scan, made_at: datetime) -> bytes:
    """The report that is sent to a destination, in the site's time."""
    with timezone.override(ZoneInfo(scan.site.timezone)):
        return drawn_pdf(report_content(scan, created_by="Hilum", made_at=made_at))
