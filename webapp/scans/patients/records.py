"""Reading a patient's record: values in the files, merges and moves, possible duplicates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, Q, QuerySet

from webapp.accounts.models import Site, User
from webapp.accounts.services import for_sites
from webapp.core.queries import get_or_404
from webapp.scans.models import Patient, PatientMerge, Scan, ScanMove, Study
from webapp.scans.patients.identity import DEMOGRAPHICS, comparable, demographics, ends_of, merged_into
from webapp.scans.patients.person_name import groups, names_differ, search_parts
from webapp.scans.selectors import patient_matches

AT_MOST = 20


@dataclass(frozen=True)
class StatedValue:
    """One value of a field, the records that hold it, and the scans whose files have it."""

    value: Any
    records: list[Patient] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)


def disagreements(
    patient: Patient, scans: Iterable[Scan], merged: Iterable[Patient] = ()
) -> dict[str, list[StatedValue]]:
    """Fields with more than one value: the patient's own first, then by number of scans.

    `merged`: the records that were merged into the patient's and keep what they held.
    """
    seen: dict[str, dict[Any, StatedValue]] = {name: {} for name in DEMOGRAPHICS}
    for record in (patient, *merged):
        for name in DEMOGRAPHICS:
            if own := getattr(record, name):
                seen[name].setdefault(comparable(own), StatedValue(own)).records.append(record)
    for scan in scans:
        for name, value in demographics(scan.metadata).items():
            if value:
                seen[name].setdefault(comparable(value), StatedValue(value)).scans.append(scan)
    return {
        name: sorted(values.values(), key=lambda one: (patient not in one.records, -len(one.scans)))
        for name, values in seen.items()
        if len(values) > 1
    }


def merge_or_404(user: User, merge_id: UUID, permission: str = "scan.view") -> PatientMerge:
    merges = PatientMerge.objects.select_related("source__site", "target__site")
    return get_or_404(for_sites(merges, user, permission, "source__site"), merge_id)


def merges_of(patient: Patient) -> list[PatientMerge]:
    """Every merge, undone ones too, that concerns the patient or who was merged into them; newest first."""
    keys = merged_into([patient.pk])
    merges = PatientMerge.objects.filter(Q(source__in=keys) | Q(target__in=keys))
    return list(
        merges.select_related("source", "target", "actor", "unmerged_by")
        .annotate(brought=Count("merged"))
        .order_by("-created_at")[:AT_MOST]
    )


def moves_of(patient: Patient) -> list[ScanMove]:
    """The latest scans that people moved to the patient or away; newest first."""
    moves = ScanMove.objects.filter(Q(source=patient) | Q(target=patient))
    return list(moves.select_related("source", "target", "actor")[:AT_MOST])


def may_be_same(patient: Patient) -> list[Patient]:
    """Others of the site with the same identifier, or with the same name and birth date; never a proof."""
    if patient.provisional:
        return []
    others = unmerged(patient.site).exclude(pk=patient.pk).order_by("created_at", "pk")
    own = patient.patient_id
    found = list(others.filter(patient_id__in={own, own.upper(), own.lower()})[:AT_MOST])
    if patient.name and patient.birth_date:
        families = [search_parts(group[0]) for group in groups(patient.name) if group[0]]
        condition = reduce(
            or_, (Q(search_name__contains=family) for family in families), Q(name=patient.name)
        )
        namesakes = others.filter(condition, birth_date=patient.birth_date).exclude(name="")
        found += [one for one in namesakes[: 5 * AT_MOST] if not names_differ(one.name, patient.name)]
    return list(dict.fromkeys(found))[:AT_MOST]


def patients_found(site: Site, words: str, *, without: Patient) -> list[Patient]:
    """The site's patients by identifier or name, as in the worklist; a merged one as who they are by now."""
    if not words.strip():
        return []
    matching = Patient.objects.filter(patient_matches(words), site=site, provisional=False)
    keys = matching.order_by("patient_id", "issuer").values_list("pk", flat=True)[: 5 * AT_MOST]
    ends = list(dict.fromkeys(ends_of(keys).values()))
    found = Patient.objects.exclude(pk=without.pk).in_bulk(ends)
    return [found[key] for key in ends if key in found][:AT_MOST]


def unmerged(site: Site) -> QuerySet[Patient]:
    """The site's patients that are neither merged into another one nor provisional."""
    merged = PatientMerge.objects.filter(unmerged_at=None).values("source")
    return Patient.objects.filter(site=site, provisional=False).exclude(pk__in=merged)


@dataclass(frozen=True)
class Extent:
    """How much is filed to a patient; `first` and `last` are days of studies, None where none is dated."""

    studies: int
    scans: int
    first: date | None
    last: date | None


def extent_of(patient: Patient) -> Extent:
    counted = patient.studies.filter(series__scans__isnull=False).aggregate(
        studies=Count("pk", distinct=True),
        scans=Count("series__scans", distinct=True),
        first=Min("study_date"),
        last=Max("study_date"),
    )
    return Extent(**counted)


def studies_named(user: User, *, study_instance_uid: str = "", accession_number: str = "") -> list[Study]:
    """The user's studies with the UID and the accession number, as far as each is given; none without."""
    given = {"study_instance_uid": study_instance_uid, "accession_number": accession_number}
    asked = {name: value for name, value in given.items() if value}
    if not asked:
        return []
    held = for_sites(Study.objects.filter(**asked, series__scans__isnull=False), user, "scan.view")
    return list(held.select_related("patient", "site").distinct().order_by("-study_at")[:AT_MOST])


def study_or_404(user: User, study_id: UUID) -> Study:
    return get_or_404(for_sites(Study.objects.all(), user, "scan.view"), study_id)
