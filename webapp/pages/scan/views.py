"""The reading page of one scan, from the upload of its file on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.preferences import preferences_of
from webapp.accounts.services import can, demand, signed_in
from webapp.analysis.selectors import HistoryEntry, history, scan_analyses
from webapp.analysis.services import analysis_retry, analysis_reveal
from webapp.analysis.state import current_analysis, state_of
from webapp.analysis.worklist.query import neighbours
from webapp.audit.access import record_search
from webapp.core.errors import CodedError
from webapp.core.jobs.table import JobStatus
from webapp.labels.read_first import HiddenResults
from webapp.pages.access import active_site
from webapp.pages.display import date_of
from webapp.pages.patients.display import facts_of, known_patients, label_of
from webapp.pages.patients.views import rescore_patient
from webapp.pages.request_data import posted_ids
from webapp.pages.scan.evidence import evidence_context, notes_of
from webapp.pages.scan.history import (
    comparable_prior,
    comparison_context,
    other_view,
    scan_entry,
    trend_of,
)
from webapp.pages.scan.images import PIXELS, viewer_values
from webapp.pages.scan.keys import KEYS
from webapp.pages.scan.marks import mark_sources
from webapp.pages.scan.readings import reading_context
from webapp.pages.scan.state_display import hidden_display, state_display
from webapp.pages.scan.withheld import remember_revealed, revealed_in
from webapp.pages.worklist.search import Search
from webapp.scans.models import Scan, Upload
from webapp.scans.patients.corrections import scan_move
from webapp.scans.patients.identity import patient_find_or_create
from webapp.scans.patients.pseudonymity import known_as
from webapp.scans.selectors import scan_or_404, scan_or_upload
from webapp.scans.services import upload_retry

UNFINISHED = {JobStatus.QUEUED, JobStatus.RUNNING}


@require_safe
def page(request: HttpRequest, scan_id: UUID, other_id: UUID | None = None) -> HttpResponse:
    """The scan, and where one is named another scan of the same patient to compare with."""
    found = scan_or_upload(scan_id, request.user)
    if isinstance(found, Upload) and (scan := found.scans.first()):
        return redirect("pages:scan", scan.pk)
    if other_id is None and "alone" not in request.GET:
        other_id = _prior_to_open(request, found)
    return render_scan(request, found, other_id)


def _prior_to_open(request: HttpRequest, found: Scan | Upload) -> UUID | None:
    """The latest comparable prior, for a person who has chosen to see it with every scan."""
    if not isinstance(found, Scan) or not preferences_of(request.user)["open_prior"]:
        return None
    prior = comparable_prior(found, history(found.patient))
    return prior.pk if prior else None


def render_scan(
    request: HttpRequest,
    found: Scan | Upload,
    other_id: UUID | None = None,
    *,
    entered: dict[str, Any] | None = None,
    error: CodedError | None = None,
) -> HttpResponse:
    """The page; `entered` is what the reading form held when it was refused with `error`."""
    context = _evidence(request, found, other_id, entered) | {"reading_error": error, "keys": KEYS}
    if isinstance(found, Scan):
        context |= _viewer_and_history(request, found, context)
    return render(request, "scan/scan.html", context, status=error.status if error else None)


@require_safe
def state(request: HttpRequest, scan_id: UUID, other_id: UUID | None = None) -> HttpResponse:
    """The evidence panel alone, for the page that polls it."""
    found = scan_or_upload(scan_id, request.user)
    return render(request, "scan/_evidence.html", _evidence(request, found, other_id))


@require_POST
def reveal(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """Show this reader the withheld result until they sign out; recorded in the audit log."""
    scan = scan_or_404(request.user, scan_id)
    HiddenResults(signed_in(request.user)).demand_shown(scan.study)
    analysis = current_analysis(scan.analyses.all())
    if analysis is None:
        raise CodedError("conflict")
    analysis_reveal(analysis=analysis, actor=request.user)
    remember_revealed(request, analysis)
    return redirect("pages:scan", scan_id)


@require_POST
def retry(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """Retry the failed step: processing of the file, or the analysis."""
    found = scan_or_upload(scan_id, request.user)
    demand(request.user, "scan.upload", found.site)
    if isinstance(found, Upload):
        upload_retry(upload=found, actor=request.user)
    elif analysis := current_analysis(found.analyses.all()):
        analysis_retry(analysis=analysis, actor=request.user)
    return redirect("pages:scan", scan_id)


@require_POST
def rescore(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """Queue the patient's scans for the active models, so that one version covers the whole history."""
    scan = scan_or_404(request.user, scan_id)
    rescore_patient(request, scan.patient)
    return redirect("pages:scan", scan_id)


@require_POST
def patients(request: HttpRequest, scan_id: UUID) -> JsonResponse:
    """The patients of the scan's site with the identifiers of the JSON body `{"ids": […]}`."""
    scan = scan_or_404(request.user, scan_id)
    demand(request.user, "scan.move", scan.site)
    ids = posted_ids(request)
    record_search(user=signed_in(request.user), site=scan.site, where="move", terms=ids)
    return JsonResponse({"patients": known_patients(ids, site=scan.site)})


@require_POST
def move(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """Move the scan to another patient: POST `patient_id`, `reason` and, to create a patient, `new`."""
    scan = scan_or_404(request.user, scan_id)
    demand(request.user, "scan.move", scan.site)
    patient_id = request.POST.get("patient_id", "").strip()[:64]
    reason = request.POST.get("reason", "").strip()
    if not (patient_id and reason):
        messages.error(request, _("Scan not moved: enter a patient ID and a reason."))
        return redirect("pages:scan", scan_id)
    if not (request.POST.get("new") or known_patients([patient_id], site=scan.site)):
        text = _("Scan not moved: no patient at this site has that ID. Correct it, or create a new patient.")
        messages.error(request, text)
        return redirect("pages:scan", scan_id)
    patient = patient_find_or_create(site=scan.site, patient_id=known_as(scan.site, patient_id))
    scan_move(scan=scan, patient=patient, actor=request.user, reason=reason)
    messages.success(request, _("Scan moved to %(patient)s.") % {"patient": label_of(patient)})
    return redirect("pages:scan", scan_id)


def _evidence(
    request: HttpRequest,
    found: Scan | Upload,
    other_id: UUID | None = None,
    entered: dict[str, Any] | None = None,
) -> dict[str, Any]:
    scan = found if isinstance(found, Scan) else None
    other = _comparable(request, scan, other_id) if other_id else None
    analyses = scan_analyses(scan) if scan else []
    state = state_of(found, analyses if scan else None)
    hiding = HiddenResults(signed_in(request.user))
    hidden = scan is not None and hiding.of(scan.study.pk, scan.study.site_id)
    other_hidden = other is not None and hiding.of(other.study.pk, other.study.site_id)
    shown = [] if hidden else analyses
    current = None if hidden or other_hidden else state.analysis
    return {
        "scan": scan,
        "upload": scan.upload if scan else found,
        "state": hidden_display(state) if hidden else state_display(state),
        "hiding": hiding,
        "read_first": hidden,
        "newer_in_progress": any(a.status in UNFINISHED for a in analyses if a != state.analysis),
        "notes": notes_of(scan) if scan else [],
        "may_retry": can(request.user, "scan.upload", found.site),
        "may_move": can(request.user, "scan.move", found.site),
        "retry_url": reverse("pages:scan_retry", args=[found.pk]),
        "neighbours": neighbours_of(request, scan) if scan else {},
        "other": other,
        **evidence_context(shown, revealed=revealed_in(request)),
        **(comparison_context(scan, current, other) if scan and other else {}),
        **reading_context(request, scan, analyses, entered=entered, hidden=hidden),
    }


def _comparable(request: HttpRequest, scan: Scan | None, other_id: UUID) -> Scan:
    """The scan to compare with; raises CodedError `not_found` unless it is of the same patient."""
    other = scan_or_404(request.user, other_id)
    if scan is None or other == scan or other.patient != scan.patient:
        raise CodedError("not_found")
    return other


def _viewer_and_history(request: HttpRequest, scan: Scan, context: dict[str, Any]) -> dict[str, Any]:
    patient, study, analysis = scan.patient, scan.study, context["analysis"]
    entries: list[HistoryEntry] = history(patient)
    hiding = context["hiding"]
    hiding.prepare(one.study.pk for one in entries)
    open_entries = [one for one in entries if not hiding.of(one.study.pk, one.study.site_id)]
    done = analysis is not None and analysis.status == JobStatus.DONE
    shown = [one for one in (scan, context["other"]) if one]
    return {
        "images": [viewer_values(one) for one in shown],
        "marks": mark_sources(shown, hiding, may=context["may_sign"]),
        "panes": [(one, date_of(one.study)) for one in shown],
        "trend": trend_of(open_entries, analysis.model_version if done else None),
        "may_rescore": context["may_retry"],
        "default_comparison": _default_comparison(scan, entries),
        "other_view": other_view(scan, entries),
        "series": [scan_entry(one, current=scan, hidden=True) for one in entries if one.study == study],
        "patient": {
            "pk": patient.pk,
            "label": label_of(patient),
            "facts": facts_of(patient, on=study.study_date),
        },
        "study": {"date": date_of(study)},
        "priors": [
            scan_entry(entry, current=scan, hidden=entry not in open_entries) for entry in reversed(entries)
        ],
    }


def _default_comparison(scan: Scan, entries: list[HistoryEntry]) -> Scan | None:
    """The last scan of the study before this one, else the first of the study after it."""
    at = [entry.scan for entry in entries].index(scan)
    before = [entry.scan for entry in entries[:at] if entry.study != scan.study]
    after = [entry.scan for entry in entries[at:] if entry.study != scan.study]
    return before[-1] if before else next(iter(after), None)


def neighbours_of(request: HttpRequest, scan: Scan) -> dict[str, str]:
    """Addresses of the previous and next study in the reader's filtered worklist, and of the image to
    `prefetch`.
    """
    summary = getattr(scan.study, "summary", None)
    if summary is None:
        return {}
    search = Search.from_session(request)
    studies = search.studies(request.user, active_site(request))
    newer, older = neighbours(studies, summary, searched=bool(search.q.strip()))
    found = {
        name: study.worst_scan_id
        for name, study in (("previous", newer), ("next", older))
        if study and study.worst_scan_id
    }
    addresses = {name: reverse("pages:scan", args=[scan_id]) for name, scan_id in found.items()}
    if "next" in found:
        addresses["prefetch"] = reverse("pages:media", args=[found["next"], PIXELS])
    return addresses
