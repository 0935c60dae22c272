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
from webapp.pages.display import moment, name_of_person, person_in_words, uncertainty_word

AT_MOST = 100_000
COLUMNS = (
    "patient_id",
    "patient_name",
    "study",
    "accession_number",
    "study_instance_uid",
    "arrived",
    "images",
    "modality",
    "view",
    "status",
    "reason",
    "finding",
    "probability",
    "uncertainty",
    "uncertainty_in_words",
    "reader",
    "read",
    "site",
    "notice",
)


def lines(rows: QuerySet[StudySummary]) -> Iterator[str]:
    """CSV lines, the heading first; times in the zone that is active now. Ends after `AT_MOST` studies."""
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
    answered = summary.status == StudySummary.Status.DONE
    return (
        "" if patient.provisional else patient.patient_id,
        name_of_person(patient.name),
        moment(study.study_date, study.study_time),
        study.accession_number,
        study.study_instance_uid,
        f"{summary.latest_at.astimezone(zone):%Y-%m-%d %H:%M}",
        summary.scans,
        summary.modality,
        summary.worst_scan.view_position if summary.worst_scan else "",
        summary.status,
        summary.reason,
        summary.finding if answered else "",
        round(summary.probability, 4) if answered and summary.probability is not None else "",
        round(summary.uncertainty, 4) if answered and summary.uncertainty is not None else "",
        uncertainty_word(summary.uncertainty) if answered else "",
        person_in_words(summary.reader) if summary.reader else "",
        f"{summary.read_at.astimezone(zone):%Y-%m-%d %H:%M}" if summary.read_at else "",
        summary.site.name,
        DISCLAIMER + (" Simulated." if summary.synthetic else ""),
    )
