"""The patient of a site that a file or its stated metadata names, by identifier and issuer.

Identifiers and issuers are compared as they are written, less the spaces around them (PS3.5 section 6.2, LO).
IssuerOfPatientIDQualifiers and OtherPatientIDs are not used: people decide that two records are one person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from webapp.accounts.models import Site
from webapp.scans.dicom_values import parse_date, text
from webapp.scans.models import Patient, PatientMerge
from webapp.scans.patients.person_name import names_differ

DEMOGRAPHICS = ("name", "sex", "birth_date")


@transaction.atomic
def patient_find_or_create(*, site: Site, patient_id: str, issuer: str = "", **known: Any) -> Patient:
    """The patient of the identifier, or the one they were merged into; arguments as for `patient_named`."""
    named = patient_named(site=site, patient_id=patient_id, issuer=issuer, **known)
    return lock_end(named)[0]


def patient_named(
    *,
    site: Site,
    patient_id: str,
    issuer: str = "",
    name: str = "",
    sex: str = "",
    birth_date: date | None = None,
    provisional: bool = False,
) -> Patient:
    """The site's patient of that identifier and issuer, merged or not; what was unknown of them is filled in.

    Where one side has no issuer, the only patient of that identifier is meant, unless name, sex or birth
    date contradict it; the issuer is filled in like the rest.
    """
    stated = {"name": name, "sex": sex, "birth_date": birth_date}
    same = list(Patient.objects.filter(site=site, patient_id=patient_id).order_by("created_at", "pk"))
    known = _chosen(same, issuer, stated, ends_of(patient.pk for patient in same) if len(same) > 1 else {})
    if not (known and _issuer_filled(known, issuer)):
        defaults = {**stated, "provisional": provisional}
        known, _ = Patient.objects.get_or_create(
            site=site, patient_id=patient_id, issuer=issuer, defaults=defaults
        )
    if news := [field for field, value in stated.items() if value and not getattr(known, field)]:
        for field in news:
            setattr(known, field, stated[field])
        known.save(update_fields=news)
    return known


def patients_meant(*, site: Site, identifiers: Iterable[str]) -> dict[str, Patient]:
    """The patient that each identifier alone names; unknown identifiers are left out. Locks nothing."""
    same: dict[str, list[Patient]] = {}
    named = Patient.objects.filter(site=site, patient_id__in=list(identifiers)).order_by("created_at", "pk")
    for patient in named:
        same.setdefault(patient.patient_id, []).append(patient)
    ends = ends_of(patient.pk for some in same.values() for patient in some)
    meant = {key: patient for key, some in same.items() if (patient := _chosen(some, "", {}, ends))}
    found = Patient.objects.in_bulk({ends[patient.pk] for patient in meant.values()})
    return {key: found[ends[patient.pk]] for key, patient in meant.items()}


def ends_of(patients: Iterable[UUID]) -> dict[UUID, UUID]:
    """Each patient's end of merges, or the patient."""
    ends = {key: key for key in patients}
    if not ends:
        return ends
    while on := dict(
        PatientMerge.objects.filter(unmerged_at=None, source__in=set(ends.values())).values_list(
            "source", "target"
        )
    ):
        ends = {key: on.get(end, end) for key, end in ends.items()}
    return ends


def end_of(patient: Patient) -> Patient:
    """The end of the patient's merges, else the patient."""
    merges = merges_from(patient)
    return merges[-1].target if merges else patient


def merged_into(patients: Iterable[UUID]) -> dict[UUID, UUID]:
    """These patients and all who were merged into them, each with the one of these they now belong to."""
    ends = {key: key for key in patients}
    frontier: Collection[UUID] = ends.keys()
    while frontier := dict(
        PatientMerge.objects.filter(unmerged_at=None, target__in=frontier).values_list("source", "target")
    ):
        ends |= {source: ends[target] for source, target in frontier.items()}
    return ends


def identifiers_of(patients: Iterable[UUID]) -> set[str]:
    """The identifiers of these patients and of all who were merged into them."""
    keys = merged_into(patients)
    return set(Patient.objects.filter(pk__in=keys).values_list("patient_id", flat=True))


def merges_from(patient: Patient) -> list[PatientMerge]:
    """The active merges that lead on from the patient, in order."""
    merges: list[PatientMerge] = []
    here = patient.pk
    while merge := (
        PatientMerge.objects.filter(unmerged_at=None, source=here).select_related("target").first()
    ):
        merges.append(merge)
        here = merge.target_id
    return merges


def lock_end(patient: Patient) -> tuple[Patient, list[PatientMerge]]:
    """Lock who the patient is now, so that no merge or its undoing slips in before the transaction ends.

    Returns the patient and the merges that lead there.
    """
    while True:
        merges = merges_from(patient)
        end = merges[-1].target if merges else patient
        lock_patients([end.pk])
        if [merge.pk for merge in merges_from(patient)] == [merge.pk for merge in merges]:
            return end, merges


def lock_patients(keys: Iterable[UUID]) -> None:
    """Lock these patients' rows in one order for all; always before scans and studies."""
    rows = Patient.objects.select_for_update(no_key=True).filter(pk__in=set(keys))
    list(rows.order_by("pk").values_list("pk"))


def demographics(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Name, sex and birth date in a file's header, empty where missing."""
    return {
        "name": text(metadata.get("PatientName"), 200),
        "sex": text(metadata.get("PatientSex"), 16),
        "birth_date": parse_date(metadata.get("PatientBirthDate")),
    }


def comparable(value: Any) -> Any:
    """A value to group what is stated by: case and spacing do not matter."""
    return " ".join(value.split()).rstrip("^=").casefold() if isinstance(value, str) else value


def differ(one: Any, other: Any) -> bool:
    """Whether two known values of name, sex or birth date differ; case, width and spacing do not matter."""
    if isinstance(one, str) and isinstance(other, str):
        return names_differ(one, other)
    return bool(one and other) and one != other


def differences(patient: Patient, stated: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields known on both sides that differ: field to (of the patient, stated)."""
    pairs = {field: (getattr(patient, field), stated.get(field)) for field in DEMOGRAPHICS}
    return {field: (own, other) for field, (own, other) in pairs.items() if differ(own, other)}


def _chosen(
    same: list[Patient], issuer: str, stated: Mapping[str, Any], ends: Mapping[UUID, UUID]
) -> Patient | None:
    """Which of the patients of one identifier is meant; `ends` as `ends_of` returns them."""
    exact = next((patient for patient in same if patient.issuer == issuer), None)
    if exact or not same:
        return exact
    if len(same) > 1:
        now = {ends[patient.pk] for patient in same}
        if issuer or len(now) > 1:
            return None
        likely = next((patient for patient in same if patient.pk in now), same[0])
    else:
        likely = same[0]
        if issuer and likely.issuer:
            return None
    return None if differences(likely, stated) else likely


def _issuer_filled(patient: Patient, issuer: str) -> bool:
    """Note who issued the patient's identifier; False where another patient has just got it from them."""
    if not issuer or patient.issuer:
        return True
    try:
        with transaction.atomic():
            filled = Patient.objects.filter(pk=patient.pk, issuer="").update(issuer=issuer)
    except IntegrityError:
        return False
    patient.issuer = issuer if filled else Patient.objects.get(pk=patient.pk).issuer
    return patient.issuer == issuer
