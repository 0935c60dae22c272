"""Template values of the monitoring page: signals, charts by week, performance and subgroup tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webapp.monitoring.intervals import SMALL
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import Alarm, MonitoringSummary
from webapp.monitoring.selectors import Chart
from webapp.monitoring.texts import DESCRIPTIONS, UNITS, measure, score_name
from webapp.pages.display import hue_of, name_of_finding
from webapp.pages.monitoring import sparklines
from webapp.pages.monitoring.sparklines import Sparkline

GROUPS = {
    "manufacturer": gettext_lazy("Manufacturer"),
    "view": gettext_lazy("View"),
    "sex": gettext_lazy("Sex"),
    "age": gettext_lazy("Age"),
}
RATES = {
    "abstained": gettext_lazy("Withheld results"),
    "refused": gettext_lazy("Refused files"),
    "overrides": gettext_lazy("Overrides"),
}
SEXES = {"F": gettext_lazy("female"), "M": gettext_lazy("male"), "O": gettext_lazy("other")}


@dataclass(frozen=True)
class SignalRow:
    """A row of the table of monitored signals."""

    kind: str
    name: str
    description: str
    state: str
    alarm: Alarm | None
    sparkline: Sparkline | None
    leading: str


@dataclass(frozen=True)
class Figure:
    """A chart by week with its current value and the ends of its axis."""

    name: str
    sparkline: Sparkline
    value: str
    low: str
    high: str
    hue: str = ""


def signals(charts: Sequence[Chart]) -> list[SignalRow]:
    return [
        SignalRow(
            kind=chart.kind.value,
            name=chart.kind.label,
            description=DESCRIPTIONS[chart.kind],
            state=_state(chart),
            alarm=chart.alarm,
            sparkline=sparklines.drift_score(chart.run.points) if chart.run and chart.run.points else None,
            leading=_leading(chart),
        )
        for chart in charts
    ]


def collecting(charts: Sequence[Chart]) -> dict[str, int] | None:
    """How many images of how many the baseline has, while it is incomplete."""
    wanted = settings.HILUM_DRIFT_BASELINE
    missing = next((chart.missing for chart in charts if chart.kind == Signal.PIXELS), 0)
    return {"collected": wanted - missing, "wanted": wanted} if missing else None


def figures(body: dict[str, Any]) -> list[Figure]:
    """Charts by week: number of results, rates and AUCs with their intervals."""
    weeks = body["weeks"]
    if not weeks:
        return []
    numbers = [week["cases"] for week in weeks]
    this_week = _("%(number)s this week") % {"number": numbers[-1]}
    found = [Figure(_("Results"), sparklines.counts(numbers), this_week, "0", str(max(numbers)))]
    for key, name in RATES.items():
        rates = [week[key] for week in weeks]
        if any(rate["of"] for rate in rates):
            top = _axis_end(rates)
            line = sparklines.intervals(rates, high=top)
            found.append(Figure(str(name), line, rate_text(body[key]), "0 %", f"{100 * top:.0f} %"))
    for finding in body["performance"]:
        aucs = [week["performance"].get(finding, {}).get("auc") for week in weeks]
        if any(aucs):
            name = _("AUC of %(finding)s") % {"finding": name_of_finding(finding)}
            line, value = sparklines.intervals(aucs, low=0.5), auc_text(body["performance"][finding])
            found.append(Figure(name, line, value, "0.50", "1.00", hue_of(finding)))
    return found


def performance_rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    """By finding: number of labels; AUC, sensitivity and specificity with their intervals."""
    return [
        {
            "finding": finding,
            "present": values["present"],
            "absent": values["absent"],
            "auc": auc_text(values),
            "sensitivity": rate_text(values["sensitivity"]),
            "specificity": rate_text(values["specificity"]),
        }
        for finding, values in body["performance"].items()
    ]


def group_tables(body: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Rates by manufacturer, view, sex and age; small groups are marked."""
    return [
        (label, [_group_row(name, row, body) for row in body["groups"][name]])
        for name, label in GROUPS.items()
        if body["groups"].get(name)
    ]


def site_rows(summaries: Sequence[MonitoringSummary]) -> list[dict[str, Any]]:
    """One row per site for the same version; none for a single site."""
    if len(summaries) < 2:
        return []
    return [{"name": one.site.name, **_cells(one.body, one.body)} for one in summaries]


def findings_of(body: dict[str, Any]) -> list[str]:
    return sorted({*body["reported"], *body["performance"]})


def rate_text(rate: dict[str, Any], *, counted: bool = True) -> str:
    """`4.2 % (3.1–5.6) of 1,204`, or `–` without a value."""
    if rate["value"] is None:
        return "–"
    low, high = (f"{100 * rate[end]:.1f}" for end in ("low", "high"))
    text = f"{100 * rate['value']:.1f} % ({low}–{high})"
    return f"{text} of {rate['of']:,}" if counted else text


def auc_text(values: dict[str, Any] | None) -> str:
    if not values:
        return "–"
    auc = values["auc"]
    if not auc or auc["value"] is None:
        return _("too few labels (%(present)s present, %(absent)s absent)") % values
    if auc["low"] is None:
        return f"{auc['value']:.2f}"
    return f"{auc['value']:.2f} ({auc['low']:.2f}–{auc['high']:.2f})"


def _state(chart: Chart) -> str:
    unit = UNITS[chart.kind]
    if chart.alarm:
        return f"{measure(chart.alarm)}."
    if chart.run is None and not chart.missing:
        return _("Computing baseline.")
    if chart.run is None:
        wanted = settings.HILUM_DRIFT_BASELINE
        numbers = {"collected": wanted - chart.missing, "wanted": wanted, "unit": unit}
        return _("Collecting baseline (%(collected)s of %(wanted)s %(unit)s).") % numbers
    if not chart.run.cases:
        return _("No %(unit)s since the baseline.") % {"unit": unit}
    return _("No change detected in %(number)s %(unit)s.") % {
        "number": f"{chart.run.cases:,}",
        "unit": unit,
    }


def _leading(chart: Chart) -> str:
    """The number with the highest drift score, where the score is worth mentioning."""
    current = chart.run
    if current is None or chart.alarm or current.martingale < 10 or not current.by_score:
        return ""
    return score_name(chart.kind, max(current.by_score, key=current.by_score.__getitem__))


def _group_row(name: str, row: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    label = row["name"] or _("unknown")
    return {"name": SEXES.get(label, label) if name == "sex" else label, **_cells(row, body)}


def _cells(row: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    findings, overrides = findings_of(body), row["overrides"]
    few = f"{overrides['count']} of {overrides['of']}" if overrides["of"] else "–"
    return {
        "cases": row["cases"],
        "small": row["cases"] < SMALL,
        "span": 2 * len(findings) + 3,
        "abstained": rate_text(row["abstained"], counted=False),
        "overrides": rate_text(overrides, counted=False) if overrides["of"] >= SMALL else few,
        "labelled": row["labelled"],
        "aucs": [auc_text(row["performance"].get(finding)) for finding in findings],
        "reported": [
            rate_text(row["reported"][finding], counted=False) if finding in row["reported"] else "0 %"
            for finding in findings
        ],
    }


def _axis_end(rates: Sequence[dict[str, Any]]) -> float:
    """The end of the axis above all values: 10, 25, 50 or 100 per cent."""
    highest = max((rate["value"] or 0.0 for rate in rates), default=0.0)
    return next(top for top in (0.1, 0.25, 0.5, 1.0) if highest < top or top == 1.0)
