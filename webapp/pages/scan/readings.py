"""Signed readings as the scan page and the report show them, and signing one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from webapp.accounts.services import can, demand
from webapp.analysis.models import Analysis
from webapp.labels.models import Reading
from webapp.labels.readings import reading_sign
from webapp.labels.selectors import INCONCLUSIVE, OTHER, offered, readings_of
from webapp.pages.display import name_of_finding
from webapp.pages.request_data import uuid_or_none
from webapp.scans.models import Scan, Study
from webapp.scans.selectors import scan_or_404


@require_POST
def sign(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """Sign POST `finding` (several) and `comment` for the scan's study; `after` is superseded."""
    scan = scan_or_404(request.user, scan_id)
    demand(request.user, "scan.label", scan.site)
    reading_sign(
        study=scan.study,
        actor=request.user,
        findings=request.POST.getlist("finding"),
        comment=request.POST.get("comment", ""),
        after=uuid_or_none(request.POST.get("after", "")),
    )
    messages.success(request, _("Reading signed."))
    return redirect("pages:scan", scan_id)


def reading_context(request: HttpRequest, scan: Scan | None, analyses: Sequence[Analysis]) -> dict[str, Any]:
    """Template values of `scan/_reading.html`."""
    if scan is None:
        return {"readings": [], "may_sign": False}
    readings = list(readings_of(scan.study))
    own = next((r for r in readings if r.reader_id == request.user.pk and not _superseded(r)), None)
    return {
        "readings": [reading_values(reading, scan.study) for reading in readings],
        "own_reading": own,
        "may_sign": can(request.user, "scan.label", scan.site),
        "offered": [(code, _finding_text(code)) for code in offered(analyses)],
    }


def reading_values(reading: Reading, study: Study) -> dict[str, Any]:
    """Template values; `elsewhere`: the images belonged to another study when the reading was signed."""
    return {
        "findings": ", ".join(_finding_text(code) for code in reading.findings),
        "comment": reading.comment,
        "signed_as": reading.signed_as,
        "signed_at": reading.created_at,
        "sha256": reading.sha256,
        "superseded": _superseded(reading),
        "elsewhere": reading.study_id != study.pk,
    }


def _finding_text(code: str) -> str:
    texts = {OTHER: _("Other (see comment)"), INCONCLUSIVE: _("Non-diagnostic")}
    return texts.get(code) or name_of_finding(code)


def _superseded(reading: Reading) -> bool:
    return hasattr(reading, "superseded_by")
