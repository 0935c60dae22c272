"""The worklist as CSV, streamed row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from classifier.contract import DISCLAIMER
from webapp.accounts.models import User
from webapp.analysis.models import StudySummary
from webapp.analysis.worklist.query import whole
from webapp.core.spreadsheets import MARK, line
from webapp.labels.read_first import HiddenResults
from webapp.pages.display import name_of_finding, name_of_user, study_time, uncertainty_level
from webapp.scans.models import Patient
from webapp.scans.patients.person_name import displayed as name_of_person

AT_MOST = 100_000
CHUNK = 2000
Cell = Callable[[StudySummary, ZoneInfo], object]
COLUMNS: dict[str, Cell] = {
    "patient_id": lambda row, zone: _identifier(row.study.patient),
    "patient_name": lambda row, zone: name_of_person(row.study.patient.name),
    "study_date": lambda row, zone: study_time(row.study.study_date, row.study.study_time),
    "study_date_is_relative": lambda row, zone: "yes" if row.study.date_is_relative else "",
    "accession_number": lambda row, zone: row.study.accession_number,
    "study_instance_uid": lambda row, zone: row.study.study_instance_uid,
    "received_at": lambda row, zone: _time(row.latest_at, zone),
    "images": lambda row, zone: row.scans,
    "modality": lambda row, zone: row.modality,
    "view": lambda row, zone: row.worst_scan.view_position if row.worst_scan else "",
    "status": lambda row, zone: row.status,
    "reason": lambda row, zone: row.reason,
    "finding": lambda row, zone: name_of_finding(row.finding) if _done(row) else "",
    "probability": lambda row, zone: _number(row, row.probability),
    "uncertainty": lambda row, zone: _number(row, row.uncertainty),
    "uncertainty_level": lambda row, zone: uncertainty_level(row.uncertainty) if _done(row) else "",
    "warnings": lambda row, zone: "|".join(row.warnings) if _done(row) else "",
    "reader": lambda row, zone: name_of_user(row.reader) if row.reader else "",
    "read_at": lambda row, zone: _time(row.read_at, zone),
    "site": lambda row, zone: row.site.name,
    "notice": lambda row, zone: DISCLAIMER + (" Simulated." if row.synthetic else ""),
}


RESULT_COLUMNS = (
    "status",
    "reason",
    "finding",
    "probability",
    "uncertainty",
    "uncertainty_level",
    "warnings",
)


def csv_lines(rows: QuerySet[StudySummary], *, reader: User) -> Iterator[str]:
    """CSV lines with a header, times in the active zone; at most `AT_MOST` studies.

    Results that are hidden from the reader are left empty.
    """
    zone, hiding = timezone.get_current_timezone(), HiddenResults(reader)
    yield MARK + line(COLUMNS)
    found = whole(rows)[: AT_MOST + 1].iterator(chunk_size=CHUNK)
    number = 0
    while chunk := list(islice(found, CHUNK)):
        hiding.prepare(summary.study_id for summary in chunk)
        for summary in chunk[: AT_MOST - number]:
            hidden = RESULT_COLUMNS if hiding.of(summary.study_id, summary.site_id) else ()
            yield line(["" if name in hidden else cell(summary, zone) for name, cell in COLUMNS.items()])
        number += len(chunk)
    if number > AT_MOST:
        text = _("Truncated: more than %(number)s studies match. Narrow the filters.")
        yield line([text % {"number": AT_MOST}])


def _identifier(patient: Patient) -> str:
    return "" if patient.provisional else patient.patient_id


def _done(row: StudySummary) -> bool:
    return row.status == StudySummary.Status.DONE


def _number(row: StudySummary, value: float | None) -> float | str:
    return round(value, 4) if _done(row) and value is not None else ""


def _time(at: datetime | None, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}" if at else ""
