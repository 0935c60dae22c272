"""Two scans of a patient, compared by the probabilities of one model version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webapp.analysis.models import Analysis, AnalysisStatus
from webapp.analysis.selectors import scan_analyses
from webapp.pages.display import study_time
from webapp.pages.scan.evidence import cam_of, explanation_url
from webapp.pages.scan.trend import result_by
from webapp.scans.models import Scan


@dataclass(frozen=True)
class Pair:
    """A finding's probability in this scan and in the other, and the version's threshold."""

    finding: str
    here: float
    there: float | None
    threshold: float

    @property
    def change(self) -> float | None:
        return None if self.there is None else self.here - self.there


def comparison_context(scan: Scan, current: Analysis | None, other: Scan) -> dict[str, Any]:
    """Template values: both scans by the version of this scan's result, and the other's heatmap by it."""
    context = {
        "other_date": study_time(other.study.study_date, other.study.study_time),
        "other_is_later": other.study.study_at > scan.study.study_at,
    }
    if current is None or current.status != AnalysisStatus.DONE or current.withheld:
        return context
    there = result_by(scan_analyses(other), current.model_version)
    return context | {
        "pairs": pairs_of(current, there),
        "other_has_result": there is not None,
        "other_cam": cam_of(there) if there else None,
        "explain_other": explanation_url(there) if there else "",
    }


def pairs_of(here: Analysis, there: Analysis | None) -> list[Pair]:
    """The findings of both scans, the likeliest in this one first."""
    spec = here.model_version.model_spec
    other: Mapping[str, Any] = there.probabilities if there else {}
    found = sorted(here.probabilities.items(), key=lambda item: -item[1])
    return [Pair(finding, value, other.get(finding), spec.threshold(finding)) for finding, value in found]
