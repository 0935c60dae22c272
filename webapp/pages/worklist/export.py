"""The worklist as CSV, streamed row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from classifier.contract import DISCLAIMER
from webapp.analysis.models import StudySummary
from webapp.analysis.worklist.query import whole
from webapp.core.spreadsheets import MARK, line
from webapp.pages.display import (
    name_of_finding,
    name_of_person,
    name_of_user,
    study_time,
    uncertainty_level,
)

AT_MOST = 100_000
COLUMNS = (
    "patient_id",
    "patient_name",
    "study_date",
    "accession_number",
    "study_instance_uid",
    "received_at",
    "images",
    "modality",
    "view",
    "status",
    "reason",
    "finding",
    "probability",
    "uncertainty",
    "uncertainty_level",
    "reader",
    "read_at",
    "site",
    "notice",
)


def csv_lines(rows: QuerySet[StudySummary]) -> Iterator[str]:
    """CSV lines with a header; times in the active zone; at most `AT_MOST` studies."""
    zone = timezone.get_current_timezone()
    yield MARK + line(COLUMNS)
    for number, summary in enumerate(whole(rows)[: AT_MOST + 1].iterator(chunk_size=2000)):
        if number == AT_MOST:
            yield line(
                [
                    _("Truncated: more than %(number)s studies match. Narrow the filters.")
                    % {"number": AT_MOST}
                ]
            )
            return
        yield line(_cells(summary, zone))


def _cells(summary: StudySummary, zone: ZoneInfo) -> Iterable[object]:
    study, patient = summary.study, summary.study.patient
    done = summary.status == StudySummary.Status.DONE
    return (
        "" if patient.provisional else patient.patient_id,
        name_of_person(patient.name),
        study_time(study.study_date, study.study_time),
        study.accession_number,
        study.study_instance_uid,
        f"{summary.latest_at.astimezone(zone):%Y-%m-%d %H:%M}",
        summary.scans,
        summary.modality,
        summary.worst_scan.view_position if summary.worst_scan else "",
        summary.status,
        summary.reason,
        name_of_finding(summary.finding) if done else "",
        round(summary.probability, 4) if done and summary.probability is not None else "",
        round(summary.uncertainty, 4) if done and summary.uncertainty is not None else "",
        uncertainty_level(summary.uncertainty) if done else "",
        name_of_user(summary.reader) if summary.reader else "",
        f"{summary.read_at.astimezone(zone):%Y-%m-%d %H:%M}" if summary.read_at else "",
        summary.site.name,
        DISCLAIMER + (" Simulated." if summary.synthetic else ""),
    )
