"""How patients are called, and what is known of them, in a line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from webapp.accounts.models import Site
from webapp.pages.display import name_of_person
from webapp.scans.models import Patient, Study
from webapp.scans.patients.identity import patients_meant
from webapp.scans.patients.pseudonymity import known_as

SEXES = {"M": gettext_lazy("male"), "F": gettext_lazy("female"), "O": gettext_lazy("other sex")}


def label_of(patient: Patient) -> str:
    """The name, else the identifier; a provisional patient, whom nobody named, is new."""
    if patient.provisional:
        return _("New patient")
    return name_of_person(patient.name) or patient.patient_id


def sex_in_words(sex: str) -> str:
    """PatientSex (0010,0040) in the reader's language; another value as it stands."""
    return str(SEXES.get(sex.upper(), sex))


def facts_of(patient: Patient, *, on: date | None = None) -> str:
    """Identifier, sex, birth date and, on the given day, the age in years."""
    parts = [] if patient.provisional else [patient.patient_id]
    if patient.sex:
        parts.append(sex_in_words(patient.sex))
    if patient.birth_date:
        parts.append(_("born %(date)s") % {"date": f"{patient.birth_date:%Y-%m-%d}"})
        if on:
            age = age_on(patient.birth_date, on)
            parts.append(ngettext("%(age)s year", "%(age)s years", age) % {"age": age})
    return " · ".join(parts)


def whom_they_name(identifiers: Iterable[str], *, site: Site) -> dict[str, dict[str, Any]]:
    """Whom each identifier is at the site: {"label", "facts", "studies"}; a new patient's is left out.

    A patient who was merged stands as who they are now.
    """
    names = {key: known_as(site, key) for key in identifiers}
    meant = patients_meant(site=site, identifiers=names.values())
    filed = Study.objects.filter(patient__in=meant.values()).order_by().values_list("patient")
    studies = dict(filed.annotate(Count("pk")))
    return {
        key: {"label": label_of(patient), "facts": facts_of(patient), "studies": studies.get(patient.pk, 0)}
        for key, name in names.items()
        if (patient := meant.get(name))
    }


def age_on(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
