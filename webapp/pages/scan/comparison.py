"""A patient's findings over time, and two scans beside each other: always by one model version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.analysis.models import Analysis, AnalysisStatus
from webapp.analysis.selectors import HistoryEntry
from webapp.pages.scan.sparkline import Sparkline, sparklines
from webapp.registry.models import ModelVersion


@dataclass(frozen=True)
class Course:
    """Probabilities over time by one `version`, so that a change of model is not taken for one in the lungs.

    `others` counts the scans that only other versions have answered: those that scoring anew would add.
    """

    version: ModelVersion | None
    lines: Sequence[Sparkline]
    others: int


@dataclass(frozen=True)
class Pair:
    """A finding's probability here and in the scan beside it, and the version's threshold."""

    finding: str
    here: float
    there: float | None
    threshold: float

    @property
    def change(self) -> float | None:
        return None if self.there is None else self.here - self.there


def course_of(entries: Sequence[HistoryEntry], version: ModelVersion | None) -> Course:
    """The course by `version`; by the version that answered the latest scan where None is given."""
    answers = [list(_answers(entry)) for entry in entries]
    if version is None:
        version = next((found[0].model_version for found in reversed(answers) if found), None)
    series: list[tuple[datetime, Mapping[str, float]]] = []
    others = 0
    for entry, found in zip(entries, answers, strict=True):
        mine = next((a for a in found if version and a.model_version_id == version.pk), None)
        if mine:
            series.append((entry.study.study_at, mine.probabilities))
        others += bool(found) and mine is None
    return Course(version, sparklines(series), others)


def answer_by(analyses: Sequence[Analysis], version: ModelVersion | None) -> Analysis | None:
    """The scan's answer by the version, None where it has none or withheld it."""
    return next((a for a in analyses if version and a.model_version_id == version.pk and _answered(a)), None)


def pairs_of(here: Analysis, there: Analysis | None) -> list[Pair]:
    """Both scans' findings by one version, the likeliest here first."""
    spec = here.model_version.model_spec
    beside: Mapping[str, Any] = there.probabilities if there else {}
    found = sorted(here.probabilities.items(), key=lambda item: -item[1])
    return [Pair(finding, value, beside.get(finding), spec.threshold(finding)) for finding, value in found]


def _answers(entry: HistoryEntry) -> list[Analysis]:
    """The scan's answers, the newest first."""
    answered = filter(_answered, entry.scan.analyses.all())
    return sorted(answered, key=lambda analysis: analysis.created_at, reverse=True)


def _answered(analysis: Analysis) -> bool:
    return analysis.status == AnalysisStatus.DONE and not analysis.withheld
