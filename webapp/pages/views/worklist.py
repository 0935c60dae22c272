"""The worklist: one row a study, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from classifier.contract import ADVICE
from webapp.analysis.models import StudySummary
from webapp.analysis.selectors import worklist_findings, worklist_page
from webapp.pages.access import active_site, at_active_site
from webapp.pages.people import label_of
from webapp.pages.words import hue_of, lower_first, moment
from webapp.pages.worklist_search import STATUSES, Search
from webapp.scans.models import Upload

ROWS_A_PAGE = 50
IN_FLIGHT = (Upload.Status.RECEIVED, Upload.Status.PARSING)
DOTS = {"analysing": "busy", "failed": "failed", "waiting": "waiting", "abstained": "none"}


@require_http_methods(["GET", "HEAD", "POST"])
@at_active_site("scan.view")
def worklist(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        Search.take(request)
        return redirect("pages:worklist")
    findings = worklist_findings(request.user, active_site(request))
    return render(request, "pages/worklist.html", _context(request) | {"findings": findings})


@require_safe
@at_active_site("scan.view")
def rows(request: HttpRequest) -> HttpResponse:
    """The table alone, for the page that keeps itself up to date."""
    return render(request, "pages/_worklist_rows.html", _context(request))


@dataclass(frozen=True)
class Row:
    """One study as the worklist shows it."""

    study_id: UUID
    href: str
    thumbnail: str
    status: str
    dot: str
    state: str
    patient: str
    patient_id: str
    date: str
    view: str
    finding: str
    probability: float | None
    uncertainty: float | None
    scans: int
    synthetic: bool
    received_at: datetime

    @property
    def answered(self) -> bool:
        return self.status == StudySummary.Status.DONE

    @classmethod
    def of(cls, summary: StudySummary) -> Row:
        study = summary.study
        return cls(
            study_id=study.pk,
            href=reverse("pages:scan", args=[summary.worst_scan_id]),
            thumbnail=reverse("pages:media", args=[summary.worst_scan_id, "preview"]),
            status=summary.status,
            dot=DOTS.get(summary.status) or hue_of(summary.finding) or "waiting",
            state=state_in_words(summary),
            patient=label_of(study.patient),
            patient_id=study.patient.patient_id if study.patient.name else "",
            date=moment(study.study_date, study.study_time),
            view=summary.worst_scan.view_position if summary.worst_scan else "",
            finding=summary.finding,
            probability=summary.probability,
            uncertainty=summary.uncertainty,
            scans=summary.scans,
            synthetic=summary.synthetic,
            received_at=summary.latest_at,
        )


def state_in_words(summary: StudySummary) -> str:
    status = StudySummary.Status
    if summary.status == status.ABSTAINED:
        return f"no answer: {lower_first(ADVICE[summary.reason].seen).rstrip('.')}"
    words = {
        status.DONE: "answered",
        status.ANALYSING: "analysing",
        status.WAITING: "waits: no model is active for this kind of image",
        status.FAILED: f"failed ({summary.reason})",
    }
    return words[summary.status]


def _context(request: HttpRequest) -> dict[str, object]:
    site, search = active_site(request), Search.of(request)
    page = worklist_page(search.studies(request.user, site), after=request.GET.get("after"), size=ROWS_A_PAGE)
    return {
        "rows": [Row.of(summary) for summary in page.rows],
        "page": page,
        "first_page": "after" not in request.GET,
        "search": search,
        "filtered": bool(search),
        "statuses": STATUSES,
        "in_flight": Upload.objects.filter(site=site, status__in=IN_FLIGHT).count(),
    }
