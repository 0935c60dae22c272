"""A patient's probabilities over time, by one model version, as small line charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from webapp.analysis.models import Analysis
from webapp.analysis.selectors import HistoryEntry
from webapp.core.jobs.table import JobStatus
from webapp.registry.models import ModelVersion

WIDTH, HEIGHT, MARGIN = 200, 40, 4


@dataclass(frozen=True)
class Sparkline:
    """`points` of an SVG polyline, `dots` as (x, y): x by time, probability 1.0 at the top."""

    finding: str
    points: str
    dots: list[tuple[float, float]]
    first: float
    last: float


@dataclass(frozen=True)
class Trend:
    """The lines of one `version`: a change of model must not look like a change in the lungs.

    `others` counts the scans with results of other versions only.
    """

    version: ModelVersion | None
    lines: Sequence[Sparkline]
    others: int


def trend_of(entries: Sequence[HistoryEntry], version: ModelVersion | None) -> Trend:
    """The trend by `version`, by default the version of the latest result."""
    results = [_results(entry) for entry in entries]
    if version is None:
        version = next((found[0].model_version for found in reversed(results) if found), None)
    series: list[tuple[datetime, Mapping[str, float]]] = []
    others = 0
    for entry, found in zip(entries, results, strict=True):
        if analysis := result_by(found, version):
            series.append((entry.study.study_at, analysis.probabilities))
        else:
            others += bool(found)
    return Trend(version, sparklines(series), others)


def result_by(analyses: Sequence[Analysis], version: ModelVersion | None) -> Analysis | None:
    """The analysis with a result of the version that is not withheld, if there is one."""
    return next(
        (a for a in analyses if version and a.model_version_id == version.pk and _has_result(a)), None
    )


def sparklines(series: Sequence[tuple[datetime, Mapping[str, float]]]) -> list[Sparkline]:
    """One line a finding; none for fewer than two points in time."""
    series = [(at, values) for at, values in series if values]
    if len(series) < 2:
        return []
    start, end = min(at for at, _ in series), max(at for at, _ in series)
    span = (end - start).total_seconds() or 1.0
    lines = []
    for finding in dict.fromkeys(f for _, values in series for f in values):
        points = [(at, values[finding]) for at, values in series if finding in values]
        dots = [(_x((at - start).total_seconds() / span), _y(value)) for at, value in points]
        polyline = " ".join(f"{x},{y}" for x, y in dots)
        lines.append(Sparkline(finding, polyline, dots, points[0][1], points[-1][1]))
    return lines


def _results(entry: HistoryEntry) -> list[Analysis]:
    """The scan's analyses with a result, the newest first."""
    found = filter(_has_result, entry.scan.analyses.all())
    return sorted(found, key=lambda analysis: analysis.created_at, reverse=True)


def _has_result(analysis: Analysis) -> bool:
    return analysis.status == JobStatus.DONE and not analysis.withheld


def _x(share: float) -> float:
    return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)


def _y(value: float) -> float:
    return round(MARGIN + (1 - value) * (HEIGHT - 2 * MARGIN), 1)
