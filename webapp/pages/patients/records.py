"""The record of a patient on its page: conflicting values, possible duplicates, merges and moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from webapp.accounts.models import User
from webapp.analysis.selectors import HistoryEntry
from webapp.pages.display import name_of_user, study_time
from webapp.pages.patients.display import facts_of, full_label, label_of, sex_text
from webapp.scans.models import Patient, PatientMerge, ScanMove
from webapp.scans.patients.person_name import displayed as name_of_person
from webapp.scans.patients.records import AT_MOST, StatedValue, disagreements, may_be_same, moves_of

CONFLICTS = {
    "name": gettext_lazy("%(number)s different names"),
    "sex": gettext_lazy("%(number)s different values for sex"),
    "birth_date": gettext_lazy("%(number)s different birth dates"),
}
LINKS = 5


@dataclass(frozen=True)
class Value:
    """One of several values; `links` are (id, date) of the first scans with it, `more` counts the rest."""

    text: str
    records: Sequence[str]
    scans: int
    links: Sequence[tuple[UUID, str]]

    @property
    def more(self) -> int:
        return self.scans - len(self.links)


@dataclass(frozen=True)
class Conflict:
    heading: str
    values: Sequence[Value]


@dataclass(frozen=True)
class Event:
    """A merge, an undone merge or a move; `merge` where it can be undone."""

    at: datetime
    what: str
    who: str
    why: str
    merge: PatientMerge | None = None


def conflicts_in(
    patient: Patient, entries: Sequence[HistoryEntry], merges: Sequence[PatientMerge] = ()
) -> list[Conflict]:
    """Each demographic field with more than one value in the patient's records and files."""
    merged = [merge.source for merge in merges if not merge.unmerged_at]
    days = {entry.scan.pk: study_time(entry.study.study_date) for entry in entries}
    found = disagreements(patient, [entry.scan for entry in entries], merged)
    return [
        Conflict(
            CONFLICTS[field] % {"number": len(values)},
            [_value(field, stated, days, patient) for stated in values],
        )
        for field, values in found.items()
    ]


def possible_duplicates(patient: Patient) -> list[dict[str, Any]]:
    """Patients who may be the same person: {"pk", "label", "facts", "why"}."""
    return [
        patient_row(other)
        | {
            "why": _("same ID")
            if other.patient_id.casefold() == patient.patient_id.casefold()
            else _("same name and birth date")
        }
        for other in may_be_same(patient)
    ]


def patient_row(patient: Patient) -> dict[str, Any]:
    return {"pk": patient.pk, "label": label_of(patient), "facts": facts_of(patient, issuer=True)}


def record_history(patient: Patient, merges: Sequence[PatientMerge]) -> list[Event]:
    """Merges, undone merges and moves, the latest first."""
    events = [event for merge in merges for event in _events_of_merge(merge)]
    events += [_event_of_move(move, patient) for move in moves_of(patient)]
    return sorted(events, key=lambda event: event.at, reverse=True)[:AT_MOST]


def _value(field: str, stated: StatedValue, days: dict[UUID, str], patient: Patient) -> Value:
    links = [(scan.pk, days[scan.pk]) for scan in stated.scans[:LINKS]]
    records = [
        _("on record") if one == patient else _("in the record of %(patient)s") % {"patient": full_label(one)}
        for one in stated.records
    ]
    return Value(_text(field, stated.value), records, len(stated.scans), links)


def _text(field: str, value: Any) -> str:
    if field == "name":
        return name_of_person(value) or value
    if isinstance(value, date):
        return f"{value:%Y-%m-%d}"
    return sex_text(value)


def _events_of_merge(merge: PatientMerge) -> list[Event]:
    names = {"source": full_label(merge.source), "target": full_label(merge.target), "number": merge.brought}
    what = ngettext(
        "%(source)s was merged into %(target)s, with %(number)s image",
        "%(source)s was merged into %(target)s, with %(number)s images",
        merge.brought,
    )
    what %= names
    if not merge.unmerged_at:
        return [Event(merge.created_at, what, _name(merge.actor), merge.reason, merge)]
    undone = _("The merge of %(source)s into %(target)s was undone") % names
    return [
        Event(merge.unmerged_at, undone, _name(merge.unmerged_by), merge.unmerged_reason),
        Event(merge.created_at, what, _name(merge.actor), merge.reason),
    ]


def _event_of_move(move: ScanMove, patient: Patient) -> Event:
    here = move.target_id == patient.pk
    what = _("An image was moved here from %(patient)s") % {"patient": full_label(move.source)}
    if not here:
        what = _("An image was moved away to %(patient)s") % {"patient": full_label(move.target)}
    return Event(move.created_at, what, _name(move.actor), move.reason)


def _name(user: User | None) -> str:
    return name_of_user(user) if user else ""
