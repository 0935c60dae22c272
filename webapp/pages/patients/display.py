"""Labels of patients, and their demographics in one line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from webapp.accounts.models import Site
from webapp.scans.models import Patient, Study
from webapp.scans.patients.identity import patients_meant
from webapp.scans.patients.person_name import displayed as name_of_person
from webapp.scans.patients.pseudonymity import known_as

SEXES = {"M": gettext_lazy("male"), "F": gettext_lazy("female"), "O": gettext_lazy("other")}


def label_of(patient: Patient) -> str:
    """The name, else the identifier; "New patient" for a provisional one, created without either."""
    if patient.provisional:
        return _("New patient")
    return name_of_person(patient.name) or patient.patient_id


def sex_text(sex: str) -> str:
    """PatientSex (0010,0040) in the reader's language; other values unchanged."""
    return str(SEXES.get(sex.upper(), sex))


def birth_text(born: date, on: date | None) -> str:
    """The birth date with, where a day is given, the age on it."""
    if on is None:
        return f"{born:%Y-%m-%d}"
    age = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    return f"{born:%Y-%m-%d}, " + ngettext("%(age)s year", "%(age)s years", age) % {"age": age}


def issuer_of(patient: Patient) -> str:
    return _("issued by %(issuer)s") % {"issuer": patient.issuer} if patient.issuer else ""


def facts_of(patient: Patient, *, on: date | None = None, issuer: bool = False) -> str:
    """Identifier, sex, birth date and, where a day is given, the age on it, in one line."""
    parts = [] if patient.provisional else [patient.patient_id]
    if patient.sex:
        other = patient.sex.upper() == "O"
        parts.append(_("Sex: other") if other else sex_text(patient.sex))
    if patient.birth_date:
        parts.append(_("born %(date)s") % {"date": birth_text(patient.birth_date, on)})
    if issuer and patient.issuer:
        parts.append(issuer_of(patient))
    return " · ".join(parts)


def full_label(patient: Patient) -> str:
    """The identifier with its issuer, and the name where there is one."""
    label = label_of(patient)
    if patient.provisional:
        return label
    identifier = patient.patient_id
    if patient.issuer:
        identifier = _("%(id)s of %(issuer)s") % {"id": identifier, "issuer": patient.issuer}
    return identifier + (f" ({label})" if label != patient.patient_id else "")


def known_patients(identifiers: Iterable[str], *, site: Site) -> dict[str, dict[str, Any]]:
    """The site's patients by identifier: {"label", "facts", "studies"}; unknown identifiers are left out.

    A merged patient is shown as the one it was merged into.
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
