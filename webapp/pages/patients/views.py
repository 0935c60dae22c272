"""A patient's page: images over time, conflicts, duplicates, merges; opening a study from other systems."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.accounts.services import can, demand, signed_in
from webapp.analysis.models import StudySummary
from webapp.analysis.selectors import history
from webapp.analysis.services import patient_rescore
from webapp.audit.access import record_search
from webapp.core.errors import CodedError
from webapp.labels.read_first import HiddenResults
from webapp.labels.selectors import readings_of_patient
from webapp.pages.access import active_site
from webapp.pages.patients.display import facts_of, label_of
from webapp.pages.patients.records import conflicts_in, possible_duplicates, record_history
from webapp.pages.scan.history import scan_entry, trend_of
from webapp.scans.models import Patient
from webapp.scans.patients.identity import end_of
from webapp.scans.patients.records import merges_of, studies_named, study_or_404
from webapp.scans.selectors import patient_or_404


@require_safe
def page(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    patient = patient_or_404(request.user, patient_id)
    if (end := end_of(patient)).pk != patient.pk:
        messages.info(
            request, _("The requested patient was merged into this one. See “Merges and moves” below.")
        )
        return redirect("pages:patient", end.pk)
    found = history(patient)
    hiding = HiddenResults(signed_in(request.user))
    hiding.prepare(one.study.pk for one in found)
    shown = [one for one in found if not hiding.of(one.study.pk, one.study.site_id)]
    entries = [scan_entry(entry, hidden=entry not in shown) for entry in reversed(found)]
    readings = readings_of_patient(patient)
    for one, entry in zip(reversed(found), entries, strict=True):
        entry["readings"] = readings.get(one.study.pk, []) if one in shown else []
    merges = merges_of(patient)
    may_merge = can(request.user, "patient.merge", patient.site)
    context = {
        "patient": patient,
        "label": label_of(patient),
        "facts": facts_of(patient, issuer=True),
        "entries": entries,
        "findings": list(dict.fromkeys(f for entry in entries for f in entry["probabilities"])),
        "trend": trend_of(shown, None),
        "may_rescore": can(request.user, "scan.upload", patient.site),
        "conflicts": conflicts_in(patient, found, merges),
        "synthetic": any(entry.scan.synthetic for entry in found),
        "may_merge": may_merge,
        "candidates": possible_duplicates(patient) if may_merge else [],
        "record_history": record_history(patient, merges),
    }
    return render(request, "patients/patient.html", context)


@require_POST
def rescore(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Have the active models score all of the patient's scans."""
    patient = patient_or_404(request.user, patient_id)
    rescore_patient(request, patient)
    return redirect("pages:patient", patient.pk)


def rescore_patient(request: HttpRequest, patient: Patient) -> None:
    """Queue the patient's scans for the active models; raises CodedError `forbidden`."""
    demand(request.user, "scan.upload", patient.site)
    queued = patient_rescore(patient=patient, actor=request.user)
    text = ngettext(
        "%(number)d scan queued for the active model.",
        "%(number)d scans queued for the active model.",
        queued,
    )
    messages.info(request, text % {"number": queued})


@require_http_methods(["GET", "HEAD", "POST"])
def open_study(request: HttpRequest) -> HttpResponse:
    """Find a study by POST `study_instance_uid` or `accession_number`; a GET shows the form."""
    if request.method != "POST":
        return render(request, "patients/open.html")
    asked = {
        name: request.POST.get(name, "").strip()[:64] for name in ("study_instance_uid", "accession_number")
    }
    user = signed_in(request.user)
    record_search(user=user, site=active_site(request), where="open", terms=asked.values())
    found = studies_named(user, **asked)
    if len(found) == 1:
        return redirect("pages:study", found[0].pk)
    context = {"found": found, "asked": asked, "nothing": not found}
    return render(request, "patients/open.html", context, status=200 if found else 404)


@require_safe
def study(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The study's worst scan."""
    found = study_or_404(request.user, study_id)
    summary = StudySummary.objects.filter(study=found).first()
    if summary is None or summary.worst_scan_id is None:
        raise CodedError("not_found", _("This study no longer has any images."))
    return redirect("pages:scan", summary.worst_scan_id)
