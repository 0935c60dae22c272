"""Merging two patients after comparing both records, and undoing a merge."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from webapp.accounts.services import demand, signed_in
from webapp.audit.access import record_search
from webapp.core.errors import CodedError
from webapp.pages.display import date_of, study_time
from webapp.pages.patients.display import facts_of, full_label, label_of, sex_text
from webapp.pages.patients.records import patient_row, possible_duplicates
from webapp.scans.models import Patient, Scan
from webapp.scans.patients.corrections import patient_merge, patient_unmerge
from webapp.scans.patients.identity import differ, end_of
from webapp.scans.patients.person_name import displayed as name_of_person
from webapp.scans.patients.records import extent_of, merge_or_404, patients_found
from webapp.scans.selectors import patient_or_404

PERMISSION = "patient.merge"
IMAGES_SHOWN = 4


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Search for the other patient: POST `q`, an identifier or a name, which then is in no address."""
    patient = _patient(request, patient_id)
    query = request.POST.get("q", "").strip()[:64]
    record_search(user=signed_in(request.user), site=patient.site, where="merge", terms=[query])
    found = patients_found(patient.site, query, without=patient)
    context = {
        "patient": patient,
        "label": label_of(patient),
        "facts": facts_of(patient),
        "q": query,
        "searched": request.method == "POST",
        "found": [patient_row(other) for other in found],
        "candidates": possible_duplicates(patient),
    }
    return render(request, "patients/merge.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, patient_id: UUID, other_id: UUID) -> HttpResponse:
    """Both records side by side; POST `keep` (the id of the patient to keep) and `reason`."""
    one, other = _patient(request, patient_id), _patient(request, other_id)
    if one.pk == other.pk or one.site_id != other.site_id:
        raise CodedError("not_found")
    if end_of(one).pk == end_of(other).pk:
        messages.info(request, _("These patients are already merged."))
        return redirect("pages:patient", end_of(one).pk)
    if (ends := [end_of(one).pk, end_of(other).pk]) != [one.pk, other.pk]:
        return redirect("pages:patient_merge_confirm", *ends)
    problem = ""
    if request.method == "POST":
        keep, reason = request.POST.get("keep"), request.POST.get("reason", "").strip()
        kept = next((patient for patient in (one, other) if str(patient.pk) == keep), None)
        problem = "" if kept else _("Select the name and ID to keep.")
        problem = problem or ("" if reason else _("Enter a reason for the merge."))
        if not problem:
            gone = other if kept == one else one
            patient_merge(source=gone, target=kept, actor=request.user, reason=reason)
            messages.success(request, _("Patients merged. You can undo the merge below."))
            return redirect("pages:patient", kept.pk)
    context = _both(one, other) | {
        "problem": problem,
        "keep": request.POST.get("keep") or str(one.pk if other.provisional else other.pk),
        "reason": request.POST.get("reason", ""),
    }
    return render(request, "patients/merge_confirm.html", context, status=400 if problem else 200)


@require_POST
def unmerge(request: HttpRequest, merge_id: UUID) -> HttpResponse:
    """Undo a merge: POST `reason`."""
    merge = merge_or_404(request.user, merge_id)
    demand(request.user, PERMISSION, merge.source.site)
    reason = request.POST.get("reason", "").strip()
    if not reason:
        messages.error(request, _("Merge not undone: enter a reason."))
        return redirect("pages:patient", end_of(merge.source).pk)
    patient_unmerge(merge=merge, actor=request.user, reason=reason)
    messages.success(request, _("Merge undone. This is the patient who had been merged."))
    return redirect("pages:patient", merge.source_id)


def _patient(request: HttpRequest, patient_id: UUID) -> Patient:
    patient = patient_or_404(request.user, patient_id)
    demand(request.user, PERMISSION, patient.site)
    return patient


def _both(one: Patient, other: Patient) -> dict[str, Any]:
    """The two patients, and rows to compare: {"label", "values": [two], "differs"}."""
    facts = [_facts(one), _facts(other)]
    rows = [
        {"label": LABELS[key], "values": values, "differs": key in COMPARED and differ(*values)}
        for key in LABELS
        if (values := [side[key] for side in facts])
    ]
    people = [
        {
            "pk": str(patient.pk),
            "label": full_label(patient),
            "href": reverse("pages:patient", args=[patient.pk]),
            "can_stay": not patient.provisional,
            "images": _newest_images(patient),
        }
        for patient in (one, other)
    ]
    return {"people": people, "rows": rows, "differ": any(row["differs"] for row in rows)}


def _newest_images(patient: Patient) -> list[dict[str, str]]:
    scans = Scan.objects.filter(series__study__patient=patient).select_related("series__study")
    newest = scans.order_by("-series__study__study_date", "-received_at", "pk")[:IMAGES_SHOWN]
    return [
        {
            "href": reverse("pages:scan", args=[scan.pk]),
            "thumbnail": reverse("pages:media", args=[scan.pk, "preview"]),
            "date": date_of(scan.study),
            "view": scan.view_position,
        }
        for scan in newest
    ]


LABELS = {
    "name": gettext_lazy("Name"),
    "identifier": gettext_lazy("Patient ID"),
    "issuer": gettext_lazy("Issuer of ID"),
    "sex": gettext_lazy("Sex"),
    "birth_date": gettext_lazy("Birth date"),
    "images": gettext_lazy("Images"),
    "dates": gettext_lazy("Study dates"),
}
COMPARED = {"name", "sex", "birth_date"}


def _facts(patient: Patient) -> dict[str, str]:
    extent = extent_of(patient)
    return {
        "name": name_of_person(patient.name),
        "identifier": "" if patient.provisional else patient.patient_id,
        "issuer": patient.issuer,
        "sex": sex_text(patient.sex),
        "birth_date": f"{patient.birth_date:%Y-%m-%d}" if patient.birth_date else "",
        "images": ngettext("%(scans)s in %(number)s study", "%(scans)s in %(number)s studies", extent.studies)
        % {"scans": extent.scans, "number": extent.studies},
        "dates": " – ".join(dict.fromkeys(study_time(day) for day in (extent.first, extent.last))),
    }
