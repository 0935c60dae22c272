"""What the monitoring page tells: is anything wrong, since when, where; then the charts and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webapp.monitoring.intervals import SMALL
from webapp.monitoring.kinds import Kind
from webapp.monitoring.models import Alarm, MonitoringRun, MonitoringSummary
from webapp.monitoring.selectors import Chart
from webapp.monitoring.texts import CHARTS, UNITS, WATCHED, measure, score_name
from webapp.pages.display import hue_of, name_of_finding
from webapp.pages.monitoring.charts import Drawing, amounts, evidence, share

GROUPS = {
    "manufacturer": gettext_lazy("Manufacturer"),
    "view": gettext_lazy("View"),
    "sex": gettext_lazy("Sex"),
    "age": gettext_lazy("Age"),
}
RATES = {
    "abstained": gettext_lazy("No answer"),
    "refused": gettext_lazy("Refused files"),
    "overrides": gettext_lazy("Overrides"),
}
SEXES = {"F": gettext_lazy("female"), "M": gettext_lazy("male"), "O": gettext_lazy("other")}


@dataclass(frozen=True)
class Row:
    """One chart as a line of the table."""

    kind: str
    name: str
    watched: str
    state: str
    alarm: Alarm | None
    drawing: Drawing | None
    leading: str


@dataclass(frozen=True)
class Figure:
    """A small drawing by week with what it says at its ends."""

    name: str
    drawing: Drawing
    said: str
    low: str
    high: str
    hue: str = ""


def rows_of(charts: Sequence[Chart]) -> list[Row]:
    return [
        Row(
            kind=chart.kind.value,
            name=CHARTS[chart.kind],
            watched=WATCHED[chart.kind],
            state=_state(chart),
            alarm=chart.alarm,
            drawing=evidence(chart.run.points) if chart.run and chart.run.points else None,
            leading=_leading(chart),
        )
        for chart in charts
    ]


def collecting(charts: Sequence[Chart]) -> Chart | None:
    """The chart of images while its reference lacks cases: then nothing can be said yet."""
    return next((chart for chart in charts if chart.kind == Kind.PIXELS and chart.missing), None)


def figures_of(body: dict[str, Any]) -> list[Figure]:
    """By week: how many answers, and the rates and AUCs with their intervals."""
    weeks = body["weeks"]
    if not weeks:
        return []
    counts = [week["cases"] for week in weeks]
    found = [
        Figure(
            _("Answers"),
            amounts(counts),
            _("%(number)s this week") % {"number": counts[-1]},
            "0",
            str(max(counts)),
        )
    ]
    for key, name in RATES.items():
        rates = [week[key] for week in weeks]
        if any(rate["of"] for rate in rates):
            top = _top(rates)
            drawn = share(rates, high=top)
            found.append(
                Figure(str(name), drawn, in_percent(body[key]), "0 %", f"{top:.0%}".replace("%", " %"))
            )
    for finding in body["performance"]:
        rates = [week["performance"].get(finding, {}).get("auc") for week in weeks]
        if any(rates):
            name, said = (
                _("AUC of %(finding)s") % {"finding": name_of_finding(finding)},
                auc_in_words(body["performance"][finding]),
            )
            found.append(Figure(name, share(rates, low=0.5), said, "0.50", "1.00", hue_of(finding)))
    return found


def performance_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """By finding: the labels there are, AUC, sensitivity and specificity with their intervals."""
    return [
        {
            "finding": finding,
            "present": said["present"],
            "absent": said["absent"],
            "auc": auc_in_words(said),
            "sensitivity": in_percent(said["sensitivity"]),
            "specificity": in_percent(said["specificity"]),
        }
        for finding, said in body["performance"].items()
    ]


def groups_of(body: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """By manufacturer, view, sex and age: rates with intervals; small groups are said to be small."""
    return [
        (label, [_group(name, row, body) for row in body["groups"][name]])
        for name, label in GROUPS.items()
        if body["groups"].get(name)
    ]


def sites_of(summaries: Sequence[MonitoringSummary]) -> list[dict[str, Any]]:
    """One line a site, of the same version; nothing for a single one."""
    if len(summaries) < 2:
        return []
    return [{"name": one.site.name, **_line(one.body, one.body)} for one in summaries]


def findings_of(body: dict[str, Any]) -> list[str]:
    return sorted({*body["reported"], *body["performance"]})


def in_percent(rate: dict[str, Any], *, counted: bool = True) -> str:
    """`4.2 % (3.1–5.6) of 1,204`, or that there is nothing."""
    if rate["value"] is None:
        return "–"
    low, high = (f"{100 * rate[end]:.1f}" for end in ("low", "high"))
    share_of = f"{100 * rate['value']:.1f} % ({low}–{high})"
    return f"{share_of} of {rate['of']:,}" if counted else share_of


def auc_in_words(said: dict[str, Any] | None) -> str:
    if not said:
        return "–"
    if not said["auc"] or said["auc"]["value"] is None:
        return _("too few labels (%(present)s with, %(absent)s without)") % said
    auc = said["auc"]
    if auc["low"] is None:
        return f"{auc['value']:.2f}"
    return f"{auc['value']:.2f} ({auc['low']:.2f}–{auc['high']:.2f})"


def _state(chart: Chart) -> str:
    unit = UNITS[chart.kind]
    if chart.alarm:
        return f"{measure(chart.alarm)}."
    if chart.run is None and not chart.missing:
        return _("The reference is being made.")
    if chart.run is None:
        there = settings.HILUM_DRIFT_BASELINE - chart.missing
        return _("Collecting the reference: %(there)s of %(wanted)s %(unit)s.") % {
            "there": there,
            "wanted": settings.HILUM_DRIFT_BASELINE,
            "unit": unit,
        }
    if not chart.run.cases:
        return _("No %(unit)s yet after the reference.") % {"unit": unit}
    return _("Nothing unusual in %(number)s %(unit)s.") % {"number": f"{chart.run.cases:,}", "unit": unit}


def _leading(chart: Chart) -> str:
    """What the bets have won most on, where they have won anything to speak of."""
    run: MonitoringRun | None = chart.run
    if run is None or chart.alarm or run.martingale < 10 or not run.by_score:
        return ""
    return score_name(chart.kind, max(run.by_score, key=run.by_score.__getitem__))


def _group(name: str, row: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    label = row["name"] or "unknown"
    told = SEXES.get(label, label) if name == "sex" else label
    return {"name": told, **_line(row, body)}


def _line(row: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    small, findings = row["cases"] < SMALL, findings_of(body)
    return {
        "cases": row["cases"],
        "small": small,
        "span": 2 * len(findings) + 3,
        "abstained": in_percent(row["abstained"], counted=False),
        "overrides": in_percent(row["overrides"], counted=False)
        if row["overrides"]["of"] >= SMALL
        else _few(row["overrides"]),
        "labelled": row["labelled"],
        "aucs": [auc_in_words(row["performance"].get(finding)) for finding in findings],
        "reported": [
            in_percent(row["reported"][finding], counted=False) if finding in row["reported"] else "0 %"
            for finding in findings
        ],
    }


def _few(rate: dict[str, Any]) -> str:
    return f"{rate['count']} of {rate['of']}" if rate["of"] else "–"


def _top(rates: Sequence[dict[str, Any]]) -> float:
    """A run share that all of the values stay below: 10, 25, 50 or 100 per cent."""
    max_martingale = max((rate["value"] or 0.0 for rate in rates), default=0.0)
    return next(top for top in (0.1, 0.25, 0.5, 1.0) if max_martingale < top or top == 1.0)
