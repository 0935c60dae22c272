"""One scan of a patient's history, as the priors strip and the patient page show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webapp.analysis.models import Analysis
from webapp.analysis.selectors import HistoryEntry
from webapp.pages.display import moment, name_of_finding
from webapp.pages.scan.outcome import Outcome, outcome_of
from webapp.scans.models import Scan

SHORT = {
    "abstained": gettext_lazy("no result"),
    "waiting": gettext_lazy("waiting"),
    "failed": gettext_lazy("failed"),
    "analysing": gettext_lazy("analysing"),
}


@dataclass(frozen=True)
class Entry:
    id: UUID
    href: str
    thumbnail: str
    at: datetime
    date: str
    view: str
    outcome: Outcome
    short: str
    probabilities: dict[str, float]
    model: str
    current: bool

    @property
    def dot(self) -> str:
        return self.outcome.dot


def entry_of(entry: HistoryEntry, *, current: Scan | None = None) -> Entry:
    scan, study, analysis = entry.scan, entry.study, entry.state.analysis
    outcome = outcome_of(entry.state)
    answered = analysis if outcome.kind == "answered" else None
    return Entry(
        id=scan.pk,
        href=reverse("pages:scan", args=[scan.pk]),
        thumbnail=reverse("pages:media", args=[scan.pk, "thumbnail"]),
        at=study.study_at,
        date=moment(study.study_date, study.study_time),
        view=scan.view_position,
        outcome=outcome,
        short=_short(outcome, answered),
        probabilities=answered.probabilities if answered else {},
        model=str(analysis.model_version) if analysis else "",
        current=current is not None and scan.pk == current.pk,
    )


def _short(outcome: Outcome, analysis: Analysis | None) -> str:
    if analysis is None:
        return str(SHORT.get(outcome.kind, outcome.kind))
    if not analysis.finding:
        return _("below threshold")
    return f"{name_of_finding(analysis.finding)} {analysis.probabilities[analysis.finding]:.2f}"
