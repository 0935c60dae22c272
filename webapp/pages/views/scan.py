"""The reading page of one scan, from the moment its file has arrived."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.services import can
from webapp.analysis.models import AnalysisStatus
from webapp.analysis.selectors import HistoryEntry, history, scan_analyses
from webapp.analysis.services import analysis_retry, scan_refile
from webapp.analysis.summaries import current_analysis
from webapp.pages.access import active_site, demand
from webapp.pages.evidence import evidence_of, notes_of
from webapp.pages.outcome import outcome_of
from webapp.pages.people import facts_of, label_of, whom_they_name
from webapp.pages.timeline import entry_of
from webapp.pages.views.upload import posted_ids
from webapp.pages.words import moment
from webapp.pages.worklist_search import Search, neighbours
from webapp.scans.identity import patient_find_or_create
from webapp.scans.models import Scan, Upload
from webapp.scans.pseudonymity import known_as
from webapp.scans.selectors import scan_or_404, scan_or_upload
from webapp.scans.services import upload_retry

UNFINISHED = {AnalysisStatus.QUEUED, AnalysisStatus.RUNNING}


@require_safe
def page(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    found = scan_or_upload(scan_id, request.user)
    if isinstance(found, Upload) and (scan := found.scans.first()):
        return redirect("pages:scan", scan.pk)
    context = _evidence(request, found)
    if isinstance(found, Scan):
        context |= _surroundings(found)
    return render(request, "pages/scan.html", context)


@require_safe
def state(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """The evidence panel alone, for the page that waits for it."""
    return render(request, "pages/_evidence.html", _evidence(request, scan_or_upload(scan_id, request.user)))


@require_POST
def retry(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """Try again what failed: the reading of the file, or the analysis."""
    found = scan_or_upload(scan_id, request.user)
    demand(request, "scan.upload", found.site)
    if isinstance(found, Upload):
        upload_retry(upload=found, actor=request.user)
    elif analysis := current_analysis(found.analyses.all()):
        analysis_retry(analysis=analysis, actor=request.user)
    return redirect("pages:scan", scan_id)


@require_POST
def patients(request: HttpRequest, scan_id: UUID) -> JsonResponse:
    """Whom the identifiers in the JSON body `{"ids": […]}` name at the scan's site, before it is moved."""
    scan = scan_or_404(request.user, scan_id)
    demand(request, "scan.move", scan.site)
    return JsonResponse({"patients": whom_they_name(posted_ids(request), site=scan.site)})


@require_POST
def move(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """File the scan to another patient: POST `patient_id`, `reason` and, to make a new patient, `new`."""
    scan = scan_or_404(request.user, scan_id)
    demand(request, "scan.move", scan.site)
    patient_id = request.POST.get("patient_id", "").strip()[:64]
    reason = request.POST.get("reason", "").strip()
    if not (patient_id and reason):
        messages.error(request, "Nothing was moved: a patient id and a reason are needed.")
        return redirect("pages:scan", scan_id)
    if not (request.POST.get("new") or whom_they_name([patient_id], site=scan.site)):
        messages.error(
            request,
            "Nothing was moved: no patient of this site has that id. Check it, or ask for a new patient.",
        )
        return redirect("pages:scan", scan_id)
    patient = patient_find_or_create(site=scan.site, patient_id=known_as(scan.site, patient_id))
    scan_refile(scan=scan, patient=patient, actor=request.user, reason=reason)
    messages.success(request, f"The scan is now filed to {label_of(patient)}.")
    return redirect("pages:scan", scan_id)


def _evidence(request: HttpRequest, found: Scan | Upload) -> dict[str, Any]:
    scan = found if isinstance(found, Scan) else None
    upload = scan.upload if scan else found
    analyses = scan_analyses(scan) if scan else []
    current = current_analysis(analyses)
    return {
        "scan": scan,
        "upload": upload,
        "outcome": outcome_of(upload=upload, scan=scan, analysis=current),
        "newer_under_way": any(a.status in UNFINISHED for a in analyses if a != current),
        "notes": notes_of(scan) if scan else [],
        "may_retry": can(request.user, "scan.upload", found.site),
        "may_move": can(request.user, "scan.move", found.site),
        "retry_url": reverse("pages:scan_retry", args=[found.pk]),
        "neighbours": _neighbours(request, scan) if scan else {},
        **evidence_of(analyses),
    }


def _surroundings(scan: Scan) -> dict[str, Any]:
    patient, study = scan.patient, scan.study
    entries: list[HistoryEntry] = history(patient)
    return {
        "patient": {
            "pk": patient.pk,
            "label": label_of(patient),
            "facts": facts_of(patient, on=study.study_date),
        },
        "study": {"date": moment(study.study_date, study.study_time)},
        "priors": [entry_of(entry, current=scan) for entry in reversed(entries)],
    }


def _neighbours(request: HttpRequest, scan: Scan) -> dict[str, str]:
    """Addresses of the studies above and below this one in the reader's worklist, as it is filtered now."""
    summary = getattr(scan.study, "summary", None)
    if summary is None:
        return {}
    newer, older = neighbours(Search.of(request).studies(request.user, active_site(request)), summary)
    return {
        name: reverse("pages:scan", args=[study.worst_scan_id])
        for name, study in (("previous", newer), ("next", older))
        if study and study.worst_scan_id
    }
