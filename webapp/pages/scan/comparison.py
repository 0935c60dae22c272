"""Two scans of a patient, compared by the probabilities of one model version."""

from __future__ import annotations

from typing import Any

from webapp.analysis.models import Analysis
from webapp.analysis.selectors import scan_analyses
from webapp.core.jobs.table import JobStatus
from webapp.pages.display import study_time
from webapp.pages.scan.evidence import cam_of, explanation_url
from webapp.pages.scan.trend import result_by
from webapp.scans.models import Scan


def comparison_context(scan: Scan, current: Analysis | None, other: Scan) -> dict[str, Any]:
    """Template values: both scans by the version of this scan's result, and the other's heatmap by it."""
    context = {
        "other_date": study_time(other.study.study_date, other.study.study_time),
        "other_is_later": other.study.study_at > scan.study.study_at,
    }
    if current is None or current.status != JobStatus.DONE or current.withheld:
        return context
    there = result_by(scan_analyses(other), current.model_version)
    return context | {
        "pairs": _pairs(current, there),
        "other_has_result": there is not None,
        "other_cam": cam_of(there) if there else None,
        "explain_other": explanation_url(there) if there else "",
    }


def _pairs(here: Analysis, there: Analysis | None) -> list[dict[str, Any]]:
    """The findings of both scans, the likeliest in this one first; `change` is None without the other."""
    others = there.probabilities if there else {}
    pairs = []
    for finding, value in sorted(here.probabilities.items(), key=lambda item: -item[1]):
        other = others.get(finding)
        change = None if other is None else value - other
        pairs.append({"finding": finding, "here": value, "there": other, "change": change})
    return pairs
