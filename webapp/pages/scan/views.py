"""The reading page of one scan, from the moment its file has arrived."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.services import can
from webapp.analysis.models import Analysis, AnalysisStatus
from webapp.analysis.selectors import HistoryEntry, history, scan_analyses
from webapp.analysis.services import analysis_retry, analysis_reveal
from webapp.analysis.state import current_analysis, state_of
from webapp.analysis.worklist.query import neighbours
from webapp.core.errors import CodedError
from webapp.pages.access import active_site, demand
from webapp.pages.display import moment
from webapp.pages.patients.display import facts_of, label_of, whom_they_name
from webapp.pages.patients.views import score_anew
from webapp.pages.scan.comparison import answer_by, course_of, pairs_of
from webapp.pages.scan.evidence import cam_of, evidence_of, explaining, notes_of
from webapp.pages.scan.outcome import outcome_of
from webapp.pages.scan.readings import readings_for
from webapp.pages.scan.revealed import remember_revealed, revealed_in
from webapp.pages.scan.timeline import entry_of
from webapp.pages.scan.viewer import image_of
from webapp.pages.upload.views import posted_ids
from webapp.pages.worklist.search import Search
from webapp.scans.models import Scan, Upload
from webapp.scans.patients.corrections import scan_move
from webapp.scans.patients.identity import patient_find_or_create
from webapp.scans.patients.pseudonymity import known_as
from webapp.scans.selectors import scan_or_404, scan_or_upload
from webapp.scans.services import upload_retry

UNFINISHED = {AnalysisStatus.QUEUED, AnalysisStatus.RUNNING}


@require_safe
def page(request: HttpRequest, scan_id: UUID, other_id: UUID | None = None) -> HttpResponse:
    """The scan, with another one of the same patient beside it where one is named."""
    found = scan_or_upload(scan_id, request.user)
    if isinstance(found, Upload) and (scan := found.scans.first()):
        return redirect("pages:scan", scan.pk)
    context = _evidence(request, found, other_id)
    if isinstance(found, Scan):
        context |= _surroundings(request, found, context)
    return render(request, "scan/scan.html", context)


@require_safe
def state(request: HttpRequest, scan_id: UUID, other_id: UUID | None = None) -> HttpResponse:
    """The evidence panel alone, for the page that waits for it."""
    found = scan_or_upload(scan_id, request.user)
    return render(request, "scan/_evidence.html", _evidence(request, found, other_id))


@require_POST
def reveal(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """Show this reader, until they sign out, what the scan's analysis withholds; the act is recorded."""
    scan = scan_or_404(request.user, scan_id)
    analysis = current_analysis(scan.analyses.all())
    if analysis is None:
        raise CodedError("conflict")
    analysis_reveal(analysis=analysis, actor=request.user)
    remember_revealed(request, analysis)
    return redirect("pages:scan", scan_id)


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
def rescore(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """Have the active models score this patient's scans, so that one version tells the whole history."""
    scan = scan_or_404(request.user, scan_id)
    score_anew(request, scan.patient)
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
        messages.error(request, _("Scan not moved: enter a patient ID and a reason."))
        return redirect("pages:scan", scan_id)
    if not (request.POST.get("new") or whom_they_name([patient_id], site=scan.site)):
        text = _("Scan not moved: no patient at this site has that ID. Correct it, or create a new patient.")
        messages.error(request, text)
        return redirect("pages:scan", scan_id)
    patient = patient_find_or_create(site=scan.site, patient_id=known_as(scan.site, patient_id))
    scan_move(scan=scan, patient=patient, actor=request.user, reason=reason)
    messages.success(request, _("Scan moved to %(patient)s.") % {"patient": label_of(patient)})
    return redirect("pages:scan", scan_id)


def _evidence(request: HttpRequest, found: Scan | Upload, other_id: UUID | None = None) -> dict[str, Any]:
    scan = found if isinstance(found, Scan) else None
    other = _beside(request, scan, other_id) if other_id else None
    upload = scan.upload if scan else found
    analyses = scan_analyses(scan) if scan else []
    state = state_of(found, analyses if scan else None)
    current = state.analysis
    return {
        "scan": scan,
        "upload": upload,
        "outcome": outcome_of(state),
        "newer_under_way": any(a.status in UNFINISHED for a in analyses if a != current),
        "notes": notes_of(scan) if scan else [],
        "may_retry": can(request.user, "scan.upload", found.site),
        "may_move": can(request.user, "scan.move", found.site),
        "retry_url": reverse("pages:scan_retry", args=[found.pk]),
        "neighbours": _neighbours(request, scan) if scan else {},
        "other": other,
        **evidence_of(analyses, revealed=revealed_in(request)),
        **(_compared(current, other) if other else {}),
        **readings_for(request, scan, analyses),
    }


def _beside(request: HttpRequest, scan: Scan | None, other_id: UUID) -> Scan:
    """The other scan; raises CodedError `not_found` unless it is of the same patient."""
    other = scan_or_404(request.user, other_id)
    if scan is None or other == scan or other.patient != scan.patient:
        raise CodedError("not_found")
    return other


def _compared(current: Analysis | None, other: Scan) -> dict[str, Any]:
    """Both scans by the version that answered this one, and the other's map by that version."""
    date = moment(other.study.study_date, other.study.study_time)
    if current is None or current.status != AnalysisStatus.DONE or current.withheld:
        return {"other_date": date}
    there = answer_by(scan_analyses(other), current.model_version)
    return {
        "other_date": date,
        "pairs": pairs_of(current, there),
        "other_answered": there is not None,
        "other_cam": cam_of(there) if there else None,
        "explain_other": explaining(there) if there else "",
    }


def _surroundings(request: HttpRequest, scan: Scan, context: dict[str, Any]) -> dict[str, Any]:
    patient, study, analysis = scan.patient, scan.study, context["analysis"]
    other = context["other"]
    entries: list[HistoryEntry] = history(patient)
    answered = analysis is not None and analysis.status == AnalysisStatus.DONE
    shown = [one for one in (scan, other) if one]
    return {
        "images": [image_of(one) for one in shown],
        "panes": [(one, moment(one.study.study_date, one.study.study_time)) for one in shown],
        "course": course_of(entries, analysis.model_version if answered else None),
        "may_rescore": can(request.user, "scan.upload", scan.site),
        "beside": _prior_of(scan, entries),
        "patient": {
            "pk": patient.pk,
            "label": label_of(patient),
            "facts": facts_of(patient, on=study.study_date),
        },
        "study": {"date": moment(study.study_date, study.study_time)},
        "priors": [entry_of(entry, current=scan) for entry in reversed(entries)],
    }


def _prior_of(scan: Scan, entries: list[HistoryEntry]) -> Scan | None:
    """What one compares a scan with first: the one before it, else the one after it."""
    scans = [entry.scan for entry in entries]
    at = scans.index(scan)
    return scans[at - 1] if at else (scans[1] if len(scans) > 1 else None)


def _neighbours(request: HttpRequest, scan: Scan) -> dict[str, str]:
    """Addresses of the studies above and below this one in the reader's worklist, as it is filtered now, and
    of the `ahead` image: that of the one below.
    """
    summary = getattr(scan.study, "summary", None)
    if summary is None:
        return {}
    search = Search.of(request)
    studies = search.studies(request.user, active_site(request))
    newer, older = neighbours(studies, summary, searched=bool(search.q.strip()))
    beside = {
        name: study.worst_scan_id
        for name, study in (("previous", newer), ("next", older))
        if study and study.worst_scan_id
    }
    addresses = {name: reverse("pages:scan", args=[scan_id]) for name, scan_id in beside.items()}
    ahead = {"ahead": reverse("pages:media", args=[beside["next"], "pixels"])} if "next" in beside else {}
    return addresses | ahead
