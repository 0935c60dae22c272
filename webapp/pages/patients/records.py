"""What a patient's page says of the record itself: what disagrees, who may be the same, who filed it anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webapp.accounts.models import User
from webapp.analysis.selectors import HistoryEntry
from webapp.pages.display import moment, name_of_person
from webapp.pages.patients.display import facts_of, label_of, sex_in_words
from webapp.scans.models import Patient, PatientMerge, ScanMove
from webapp.scans.patients.records import AT_MOST, Said, disagreements, may_be_same, moves_of

FIELDS = {"name": "names", "sex": "sexes", "birth_date": "birth dates"}
NUMBERS = {2: "Two", 3: "Three", 4: "Four", 5: "Five"}
LINKS = 5


@dataclass(frozen=True)
class Value:
    """One of several values; `links` are (id, date) of the first scans that say it, `more` are the rest."""

    words: str
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
class Candidate:
    patient: Patient
    label: str
    facts: str
    why: str


@dataclass(frozen=True)
class Event:
    """A merge, a parting or a move as the page tells it; `merge` where it can be undone."""

    at: datetime
    what: str
    who: str
    why: str
    merge: PatientMerge | None = None


def conflicts_in(
    patient: Patient, entries: Sequence[HistoryEntry], merges: Sequence[PatientMerge] = ()
) -> list[Conflict]:
    """Each demographic field of which the patient's records and files show more than one value."""
    merged = [merge.source for merge in merges if not merge.unmerged_at]
    days = {entry.scan.pk: moment(entry.study.study_date) for entry in entries}
    found = disagreements(patient, [entry.scan for entry in entries], merged)
    return [
        Conflict(
            f"{NUMBERS.get(len(values), len(values))} different {FIELDS[field]}",
            [_value(field, said, days, patient) for said in values],
        )
        for field, values in found.items()
    ]


def candidates_of(patient: Patient) -> list[Candidate]:
    """Who may be the same person, and why one may think so."""
    return [
        Candidate(
            other,
            label_of(other),
            " · ".join(filter(None, (facts_of(other), issuer_of(other)))),
            _("same ID")
            if other.patient_id.casefold() == patient.patient_id.casefold()
            else _("same name and birth date"),
        )
        for other in may_be_same(patient)
    ]


def trace_of(patient: Patient, merges: Sequence[PatientMerge]) -> list[Event]:
    """Who merged, parted and moved what, the latest first."""
    events = [event for merge in merges for event in _events_of_merge(merge)]
    events += [_event_of_move(move, patient) for move in moves_of(patient)]
    return sorted(events, key=lambda event: event.at, reverse=True)[:AT_MOST]


def issuer_of(patient: Patient) -> str:
    return _("issued by %(issuer)s") % {"issuer": patient.issuer} if patient.issuer else ""


def named(patient: Patient) -> str:
    """The identifier with its issuer, and the name where there is one."""
    label = label_of(patient)
    if patient.provisional:
        return label
    called = patient.patient_id
    if patient.issuer:
        called = _("%(id)s of %(issuer)s") % {"id": called, "issuer": patient.issuer}
    return called + (f" ({label})" if label != patient.patient_id else "")


def _value(field: str, said: Said, days: dict[UUID, str], patient: Patient) -> Value:
    links = [(scan.pk, days[scan.pk]) for scan in said.scans[:LINKS]]
    records = [
        _("on record") if one == patient else _("in the record of %(patient)s") % {"patient": named(one)}
        for one in said.records
    ]
    return Value(_in_words(field, said.value), records, len(said.scans), links)


def _in_words(field: str, value: Any) -> str:
    if field == "name":
        return name_of_person(value) or value
    if isinstance(value, date):
        return f"{value:%Y-%m-%d}"
    return sex_in_words(value)


def _events_of_merge(merge: PatientMerge) -> list[Event]:
    said = {"source": named(merge.source), "target": named(merge.target), "number": merge.brought}
    what = ngettext(
        "%(source)s was merged into %(target)s, with %(number)s image",
        "%(source)s was merged into %(target)s, with %(number)s images",
        merge.brought,
    )
    what %= said
    if not merge.unmerged_at:
        return [Event(merge.created_at, what, _name(merge.actor), merge.reason, merge)]
    parted = _("The merge of %(source)s into %(target)s was undone") % said
    return [
        Event(merge.unmerged_at, parted, _name(merge.unmerged_by), merge.unmerged_reason),
        Event(merge.created_at, what, _name(merge.actor), merge.reason),
    ]


def _event_of_move(move: ScanMove, patient: Patient) -> Event:
    here = move.target_id == patient.pk
    what = _("An image was moved here from %(patient)s") % {"patient": named(move.source)}
    if not here:
        what = _("An image was moved away to %(patient)s") % {"patient": named(move.target)}
    return Event(move.created_at, what, _name(move.actor), move.reason)


def _name(user: User | None) -> str:
    return (user.get_full_name() or user.get_username()) if user else ""
