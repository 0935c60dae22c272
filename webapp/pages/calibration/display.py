"""The preview of a site calibration as tables and charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from webapp.labels.calibration.preview import Preview

WIDTH, HEIGHT, MARGIN = 360.0, 150.0, 6.0
PERCENT = 100


@dataclass(frozen=True)
class Chart:
    """Sensitivity and false-alarm rate of a finding by threshold, as coordinates of an SVG.

    `bands` are polygons of the intervals; `proposed` and `current` the x of the thresholds.
    """

    finding: str
    sensitivity: str
    false_alarms: str
    bands: Sequence[str]
    proposed: float
    current: float | None
    rows: list[dict[str, Any]] = field(default_factory=list)


def charts(found: Preview) -> list[Chart]:
    return [_chart(found, finding, curve) for finding, curve in found.curves.items()]


def _chart(found: Preview, finding: str, curve: Sequence[Mapping[str, Any]]) -> Chart:
    chosen = found.thresholds[finding]
    up = [(row["threshold"], row["sensitivity"]) for row in curve]
    down = [(row["threshold"], row["false_alarms"]) for row in curve]
    # Where probabilities are corrected, thresholds for the uncorrected ones have another scale.
    same = not found.correction.changes and found.current["calibration"] is None
    return Chart(
        finding,
        sensitivity=_line(up),
        false_alarms=_line(down),
        bands=[band for band in (_band(up), _band(down)) if band],
        proposed=_x(chosen),
        current=_x(found.current["thresholds"][finding]) if same else None,
        rows=[_curve_row(row, chosen) for row in curve],
    )


def _curve_row(row: Mapping[str, Any], chosen: float) -> dict[str, Any]:
    return {
        "threshold": f"{row['threshold']:.3f}",
        "chosen": row["threshold"] == chosen,
        "sensitivity": share_text(row["sensitivity"]),
        "specificity": share_text(row["specificity"]),
        "false_alarms": share_text(row["false_alarms"]),
        "alarms": number_text(row["alarms"]),
        "ppv": share_text(row["ppv"]),
    }


def point_rows(found: Preview) -> list[dict[str, Any]]:
    """By finding: its measures now and as proposed, on the same scans."""
    return [
        {
            "finding": finding,
            "labels": found.counts[finding],
            "sides": [
                _side(side, finding, label)
                for side, label in ((found.current, _("now")), (found.proposed, _("proposed")))
                if finding in side["findings"]
            ],
        }
        for finding in found.thresholds
        if finding in found.proposed["findings"]
    ]


def _side(side: Mapping[str, Any], finding: str, label: str) -> dict[str, str]:
    point = side["findings"][finding]
    return {
        "label": label,
        "threshold": f"{side['thresholds'][finding]:.3f}",
        "sensitivity": share_text(point["sensitivity"]),
        "specificity": share_text(point["specificity"]),
        "false_alarms": share_text(point["false_alarms"]),
        "alarms": number_text(point["alarms"]),
        "ppv": share_text(point["ppv"]),
    }


def alarm_rows(found: Preview) -> list[tuple[str, str, str]]:
    """Alarms per 100 scans as the reader sees them: of all labelled scans, and of the normal ones."""
    sides = ((_("now"), found.current), (_("proposed"), found.proposed))
    return [
        (label, number_text(side["alarms"]["all"]), number_text(side["alarms"]["normal"]))
        for label, side in sides
        if side["alarms"]
    ]


def prevalence_rows(found: Preview) -> list[dict[str, str]]:
    """By finding: its share in the model's validation data, among labelled scans, estimated, and used."""
    used = found.correction.prevalence
    return [
        {
            "finding": finding,
            "model": "–" if share["model"] is None else f"{PERCENT * share['model']:.1f} %",
            "labels": percent_text(share["labels"]),
            "stream": percent_text(share["stream"]),
            "used": f"{PERCENT * used[finding]:.1f} %" if used else _("not corrected"),
        }
        for finding, share in found.shares.items()
    ]


def share_text(share: Mapping[str, float | None]) -> str:
    """`0.82 (0.70–0.91)`, or `–` without a value."""
    return _interval_text(share, lambda value: f"{value:.2f}")


def number_text(number: Mapping[str, float | None]) -> str:
    """`12.5 (9.1–16.0)`."""
    return _interval_text(number, lambda value: f"{value:.1f}")


def percent_text(share: Mapping[str, float | None] | None) -> str:
    """`12.5 % (9.1–16.0)`."""
    if share is None or share["value"] is None:
        return "–"
    low, high = share["low"], share["high"]
    text = f"{PERCENT * share['value']:.1f} %"
    return text if low is None or high is None else f"{text} ({PERCENT * low:.1f}–{PERCENT * high:.1f})"


def _interval_text(value: Mapping[str, float | None], text: Any) -> str:
    if value["value"] is None:
        return "–"
    if value["low"] is None:
        return str(text(value["value"]))
    return f"{text(value['value'])} ({text(value['low'])}–{text(value['high'])})"


def _line(points: Sequence[tuple[float, Mapping[str, float | None]]]) -> str:
    known = [(x, share["value"]) for x, share in points if share["value"] is not None]
    return " ".join(f"{_x(x)},{_y(y)}" for x, y in known)


def _band(points: Sequence[tuple[float, Mapping[str, float | None]]]) -> str:
    known = [(x, share) for x, share in points if share["low"] is not None and share["high"] is not None]
    if len(known) < 2:
        return ""
    upper = [f"{_x(x)},{_y(share['high'])}" for x, share in known]
    lower = [f"{_x(x)},{_y(share['low'])}" for x, share in reversed(known)]
    return " ".join(upper + lower)


def _x(threshold: float) -> float:
    return round(MARGIN + threshold * (WIDTH - 2 * MARGIN), 1)


def _y(share: float) -> float:
    return round(MARGIN + (1 - share) * (HEIGHT - 2 * MARGIN), 1)
