"""The small charts of the monitoring page, as coordinates of an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

WIDTH, HEIGHT, MARGIN = 240.0, 56.0, 4.0
LOWEST, LIMIT, HIGHEST = -1.0, 2.0, 3.0  # log10 of the drift score: the range shown, and the alarm limit


@dataclass(frozen=True)
class Sparkline:
    """`lines` and `bands` are points of polylines and polygons, `dots` (x, y), `bars` (x, y, width, height).

    `limit` is the y coordinate of a limit, None without one.
    """

    lines: Sequence[str] = ()
    dots: Sequence[tuple[float, float]] = ()
    bands: Sequence[str] = ()
    bars: Sequence[tuple[float, float, float, float]] = ()
    limit: float | None = None


def drift_score(points: Sequence[Sequence]) -> Sparkline:
    """The log10 of the drift score by case, with the alarm limit."""
    heights = [_y(value, LOWEST, HIGHEST) for _, value in points]
    line = " ".join(f"{_x(k, len(heights))},{y}" for k, y in enumerate(heights))
    return Sparkline(lines=[line] if line else [], limit=_y(LIMIT, LOWEST, HIGHEST))


def intervals(rates: Sequence[dict | None], *, low: float = 0.0, high: float = 1.0) -> Sparkline:
    """Values with their intervals, one a week; a week without a value leaves a gap."""
    xs = [_x(k, len(rates)) for k in range(len(rates))]
    known = [rate is not None and rate["value"] is not None for rate in rates]
    runs = [list(run) for there, run in groupby(range(len(rates)), key=known.__getitem__) if there]

    def points(run: Sequence[int], end: str) -> list[str]:
        return [f"{xs[k]},{_y(rates[k][end], low, high)}" for k in run]

    bands = []
    for run in runs:
        bounded = [k for k in run if rates[k]["low"] is not None]
        if len(bounded) > 1:
            bands.append(" ".join([*points(bounded, "high"), *reversed(points(bounded, "low"))]))
    return Sparkline(
        lines=[" ".join(points(run, "value")) for run in runs if len(run) > 1],
        dots=[(xs[k], _y(rates[k]["value"], low, high)) for run in runs for k in run],
        bands=bands,
    )


def counts(numbers: Sequence[int]) -> Sparkline:
    """Counts as bars."""
    most, width = max([*numbers, 1]), (WIDTH - 2 * MARGIN) / max(len(numbers), 1)
    tops = [_y(number, 0, most) for number in numbers]
    return Sparkline(
        bars=[
            (round(MARGIN + k * width, 1), top, round(width * 0.8, 1), round(HEIGHT - MARGIN - top, 1))
            for k, top in enumerate(tops)
        ]
    )


def _x(place: int, places: int) -> float:
    return round(MARGIN + place / max(places - 1, 1) * (WIDTH - 2 * MARGIN), 1)


def _y(value: float, low: float, high: float) -> float:
    """The height of a value on an axis from `low` to `high`, clipped to it."""
    share = (high - min(max(value, low), high)) / (high - low)
    return round(MARGIN + share * (HEIGHT - 2 * MARGIN), 1)
