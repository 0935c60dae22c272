"""How patients are called, and what is known of them, in a line."""

from __future__ import annotations

from datetime import date

from webapp.pages.words import name_of_person
from webapp.scans.models import Patient

SEXES = {"M": "male", "F": "female", "O": "other sex"}


def label_of(patient: Patient) -> str:
    """The name, else the identifier; a provisional patient, whom nobody named, is new."""
    if patient.provisional:
        return "New patient"
    return name_of_person(patient.name) or patient.patient_id


def facts_of(patient: Patient, *, on: date | None = None) -> str:
    """Identifier, sex, birth date and, on the given day, the age in years."""
    parts = [] if patient.provisional else [patient.patient_id]
    if patient.sex:
        parts.append(SEXES.get(patient.sex.upper(), patient.sex))
    if patient.birth_date:
        parts.append(f"born {patient.birth_date:%Y-%m-%d}")
        if on:
            parts.append(f"{age_on(patient.birth_date, on)} years")
    return " · ".join(parts)


def age_on(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
