"""A patient's pictures in order of time."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.analysis.selectors import history
from webapp.pages.people import facts_of, label_of
from webapp.pages.sparkline import sparklines
from webapp.pages.timeline import entry_of
from webapp.scans.selectors import patient_or_404


@require_safe
def page(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    patient = patient_or_404(request.user, patient_id)
    found = history(patient)
    entries = [entry_of(entry) for entry in found]
    context = {
        "label": label_of(patient),
        "facts": facts_of(patient),
        "provisional": patient.provisional,
        "entries": entries,
        "findings": list(dict.fromkeys(f for entry in entries for f in entry.probabilities)),
        "sparklines": sparklines([(entry.at, entry.probabilities) for entry in entries]),
        "conflicts": conflicts(entry.scan.notes for entry in found),
        "synthetic": any(entry.scan.synthetic for entry in found),
    }
    return render(request, "pages/patient.html", context)


def conflicts(all_notes) -> list[str]:
    """Where the patient's files disagree with what is known of the patient, each difference once."""
    words = {"name": "name", "sex": "sex", "birth_date": "birth date"}
    return list(
        dict.fromkeys(
            f"{words.get(field, field)}: {known} here, {said} in a file"
            for notes in all_notes
            for field, (known, said) in notes.get("demographics_differ", {}).items()
        )
    )
