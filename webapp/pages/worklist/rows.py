"""A study as the worklist shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from classifier.contract import ADVICE
from webapp.accounts.models import User
from webapp.analysis.models import StudySummary
from webapp.pages.display import hue_of, lower_first, moment, person_in_words
from webapp.pages.patients.display import label_of

_GAP = UUID(int=0)
DOTS = {"analysing": "busy", "failed": "failed", "waiting": "waiting", "abstained": "none"}


@dataclass(frozen=True)
class Row:
    study_id: UUID
    href: str
    thumbnail: str
    status: str
    dot: str
    state: str
    patient: str
    patient_id: str
    date: str
    view: str
    finding: str
    probability: float | None
    uncertainty: float | None
    reader: str
    read_at: str
    marked: bool
    scans: int
    synthetic: bool
    received: str
    received_at: str

    @property
    def answered(self) -> bool:
        return self.status == StudySummary.Status.DONE

    @classmethod
    def of(cls, summary: StudySummary, *, addresses: dict[str, str], marked: bool = False) -> Row:
        study = summary.study
        return cls(
            study_id=study.pk,
            href=addresses["scan"].format(summary.worst_scan_id),
            thumbnail=addresses["preview"].format(summary.worst_scan_id),
            status=summary.status,
            dot=DOTS.get(summary.status) or hue_of(summary.finding) or "waiting",
            state=state_in_words(summary),
            patient=label_of(study.patient),
            patient_id=study.patient.patient_id if study.patient.name else "",
            date=moment(study.study_date, study.study_time),
            view=summary.worst_scan.view_position if summary.worst_scan else "",
            finding=summary.finding,
            probability=summary.probability,
            uncertainty=summary.uncertainty,
            reader=person_in_words(summary.reader) if summary.reader else "",
            read_at=f"{timezone.localtime(summary.read_at):%Y-%m-%d %H:%M}" if summary.read_at else "",
            marked=marked,
            scans=summary.scans,
            synthetic=summary.synthetic,
            received=f"{timezone.localtime(summary.latest_at):%Y-%m-%d %H:%M}",
            received_at=summary.latest_at.isoformat(timespec="seconds"),
        )


def rows_of(summaries: Sequence[StudySummary], *, reader: User) -> list[Row]:
    """The rows, with the reader's own marks on them; one query."""
    keys = [summary.study_id for summary in summaries]
    marked = set(reader.marks.filter(study__in=keys).values_list("study_id", flat=True))
    addresses = {
        "scan": _with_a_gap(reverse("pages:scan", args=[_GAP])),
        "preview": _with_a_gap(reverse("pages:media", args=[_GAP, "preview"])),
    }
    return [Row.of(summary, addresses=addresses, marked=summary.study_id in marked) for summary in summaries]


def _with_a_gap(address: str) -> str:
    """An address into which each row puts its own key: resolving it for every row takes too long."""
    return address.replace(str(_GAP), "{}")


def state_in_words(summary: StudySummary) -> str:
    status = StudySummary.Status
    if summary.status == status.ABSTAINED:
        seen = lower_first(ADVICE[summary.reason].problem).rstrip(".")
        return _("no result: %(seen)s") % {"seen": seen}
    if summary.status == status.FAILED:
        return _("failed (%(code)s)") % {"code": summary.reason}
    if summary.status == status.WAITING:
        return _("waiting: no model is active for this kind of image")
    return _("result available") if summary.status == status.DONE else _("analysing")
