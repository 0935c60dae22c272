"""A patient's scans over time: entries, trend by one model version, comparison of two scans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from webapp.analysis.models import Analysis
from webapp.analysis.selectors import HistoryEntry, scan_analyses
from webapp.analysis.worklist.summaries import severity
from webapp.core.jobs.table import JobStatus
from webapp.pages.display import date_of, name_of_finding
from webapp.pages.scan.evidence import calibration_text, cam_of, explanation_url
from webapp.pages.scan.state_display import hidden_display, state_display
from webapp.registry.models import ModelVersion
from webapp.scans.models import Scan, Study

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

    `others` counts the scans with results of other versions only. `own`: the scans were calibrated
    differently, so the lines show the model's own probabilities.
    """

    version: ModelVersion | None
    lines: Sequence[Sparkline]
    others: int
    own: bool = False


def trend_of(entries: Sequence[HistoryEntry], version: ModelVersion | None) -> Trend:
    """The trend by `version`, by default the version of the latest result."""
    results = [_results(entry) for entry in entries]
    if version is None:
        version = next((found[0].model_version for found in reversed(results) if found), None)
    found_by: list[tuple[Study, Analysis]] = []
    others = 0
    for entry, found in zip(entries, results, strict=True):
        if analysis := result_by(found, version):
            found_by.append((entry.study, analysis))
        else:
            others += bool(found)
    shown = _worst_of_each(found_by)
    own = not alike(analysis for _at, analysis in shown)
    series = [(at, one.own_probabilities if own else one.probabilities) for at, one in shown]
    return Trend(version, sparklines(series), others, own)


def alike(analyses: Iterable[Analysis]) -> bool:
    """Whether all were made with the same calibration: else only the model's own can be compared."""
    return len({analysis.calibration_id for analysis in analyses}) < 2


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
    start, end = min(at for at, _values in series), max(at for at, _values in series)
    span = (end - start).total_seconds() or 1.0
    lines = []
    for finding in dict.fromkeys(name for _at, values in series for name in values):
        points = [(at, values[finding]) for at, values in series if finding in values]
        dots = [(_x((at - start).total_seconds() / span), _y(value)) for at, value in points]
        polyline = " ".join(f"{x},{y}" for x, y in dots)
        lines.append(Sparkline(finding, polyline, dots, points[0][1], points[-1][1]))
    return lines


def _worst_of_each(shown: Sequence[tuple[Study, Analysis]]) -> list[tuple[datetime, Analysis]]:
    """One point a study, its worst image: views of one study are no course in time."""
    worst: dict[Any, tuple[Study, Analysis]] = {}
    for study, analysis in shown:
        known = worst.get(study.pk)
        if known is None or severity(analysis) > severity(known[1]):
            worst[study.pk] = (study, analysis)
    return [(study.study_at, analysis) for study, analysis in worst.values()]


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


def scan_entry(entry: HistoryEntry, *, current: Scan | None = None, hidden: bool = False) -> dict[str, Any]:
    """Template values of the scan; `hidden`: without its result."""
    scan, study, analysis = entry.scan, entry.study, None if hidden else entry.state.analysis
    state = hidden_display(entry.state) if hidden else state_display(entry.state)
    short, probabilities = state.headline, {}
    if state.has_result and analysis:
        short, probabilities = _("below threshold"), analysis.probabilities
        if analysis.finding:
            short = f"{name_of_finding(analysis.finding)} {probabilities[analysis.finding]:.2f}"
    return {
        "id": scan.pk,
        "href": reverse("pages:scan", args=[scan.pk]),
        "thumbnail": reverse("pages:media", args=[scan.pk, "thumbnail"]),
        "date": date_of(study),
        "relative": study.date_is_relative,
        "view": scan.view_position,
        "state": state,
        "short": short,
        "probabilities": probabilities,
        "model": model_text(analysis) if analysis else "",
        "same_study": current is not None and study.pk == current.study.pk,
        "current": current is not None and scan.pk == current.pk,
    }


def model_text(analysis: Analysis) -> str:
    version, calibration = str(analysis.model_version), analysis.calibration
    return f"{version}, {calibration_text(analysis)}" if calibration else version


def comparison_context(scan: Scan, current: Analysis | None, other: Scan) -> dict[str, Any]:
    """Template values: both scans by the version of this scan's result, and the other's heatmap by it."""
    context = {
        "other_date": date_of(other.study),
        "other_is_later": other.study.study_at > scan.study.study_at,
        "same_study": other.study == scan.study,
    }
    if context["same_study"]:
        return context  # another view: no change over time
    if current is None or current.status != JobStatus.DONE or current.withheld:
        return context
    there = result_by(scan_analyses(other), current.model_version)
    return context | {
        "pairs": _pairs(current, there),
        "pairs_own": there is not None and not alike([current, there]),
        "other_has_result": there is not None,
        "other_cam": cam_of(there) if there else None,
        "explain_other": explanation_url(there) if there else "",
    }


FRONTAL = {"PA", "AP"}


def comparable_prior(scan: Scan, entries: Sequence[HistoryEntry]) -> Scan | None:
    """The latest scan of an earlier study of the same modality and view; PA and AP are both frontal."""

    def kind(one: Scan) -> tuple[str, str]:
        return one.series.modality, "frontal" if one.view_position in FRONTAL else one.view_position

    at = [entry.scan for entry in entries].index(scan)
    earlier = [entry.scan for entry in entries[:at] if entry.study != scan.study]
    return next((one for one in reversed(earlier) if kind(one) == kind(scan)), None)


def other_view(scan: Scan, entries: Sequence[HistoryEntry]) -> Scan | None:
    """Another image of the same study, one of another view if there is any."""
    others = [entry.scan for entry in entries if entry.study == scan.study and entry.scan != scan]
    differing = [one for one in others if one.view_position != scan.view_position]
    return next(iter(differing or others), None)


def _pairs(here: Analysis, there: Analysis | None) -> list[dict[str, Any]]:
    """The findings of both scans, the likeliest in this one first; `change` is None without the other."""
    own = there is not None and not alike([here, there])
    values = here.own_probabilities if own else here.probabilities
    others = (there.own_probabilities if own else there.probabilities) if there else {}
    pairs = []
    for finding, value in sorted(values.items(), key=lambda item: -item[1]):
        other = others.get(finding)
        change = None if other is None else value - other
        pairs.append({"finding": finding, "here": value, "there": other, "change": change})
    return pairs
