"""Monitoring's small drawings: polylines and bands of an SVG, in its own units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 240.0, 56.0, 4.0
LOWEST, LIMIT, HIGHEST = -1.0, 2.0, 3.0  # log10 of a capital: what is drawn, and where the alarm is


@dataclass(frozen=True)
class Drawing:
    """`lines` are polylines' points, `bands` polygons', `dots` (x, y), `bars` (x, y, width, height).

    `mark` is the height of a limit, None without one.
    """

    lines: Sequence[str] = ()
    dots: Sequence[tuple[float, float]] = ()
    bands: Sequence[str] = ()
    bars: Sequence[tuple[float, float, float, float]] = ()
    mark: float | None = None


def evidence(points: Sequence[Sequence]) -> Drawing:
    """The log10 of a capital over the cases of a run, below a mark where the alarm is."""
    heights = [_height(min(max(value, LOWEST), HIGHEST), LOWEST, HIGHEST) for _, value in points]
    line = " ".join(f"{_across(k, max(len(heights), 2))},{y}" for k, y in enumerate(heights))
    return Drawing(lines=[line] if line else [], mark=_height(LIMIT, LOWEST, HIGHEST))


def share(rates: Sequence[dict | None], *, low: float = 0.0, high: float = 1.0) -> Drawing:
    """Values with their intervals, one a week; a week without a value leaves a gap."""
    places = [_across(k, max(len(rates), 2)) for k in range(len(rates))]
    runs = _runs([rate is not None and rate["value"] is not None for rate in rates])
    told = {k: _height(_within(rates[k]["value"], low, high), low, high) for run in runs for k in run}
    bands = []
    for run in runs:
        known = [k for k in run if rates[k]["low"] is not None]
        up = [f"{places[k]},{_height(_within(rates[k]['high'], low, high), low, high)}" for k in known]
        down = [f"{places[k]},{_height(_within(rates[k]['low'], low, high), low, high)}" for k in known]
        if len(known) > 1:
            bands.append(" ".join([*up, *reversed(down)]))
    dots = [(places[k], y) for k, y in told.items()]
    lines = [" ".join(f"{places[k]},{told[k]}" for k in run) for run in runs if len(run) > 1]
    return Drawing(lines=lines, dots=dots, bands=bands)


def amounts(counts: Sequence[int]) -> Drawing:
    """Counts as bars: (x, y, width, height)."""
    most = max([*counts, 1])
    wide = (WIDTH - 2 * MARGIN) / max(len(counts), 1)
    bars = []
    for k, count in enumerate(counts):
        tall = round((HEIGHT - 2 * MARGIN) * count / most, 1)
        bars.append(
            (round(MARGIN + k * wide, 1), round(HEIGHT - MARGIN - tall, 1), round(wide * 0.8, 1), tall)
        )
    return Drawing(bars=bars)


def _runs(known: Sequence[bool]) -> list[list[int]]:
    """Stretches of neighbours that are known."""
    runs: list[list[int]] = []
    for k, there in enumerate(known):
        if there and runs and runs[-1][-1] == k - 1:
            runs[-1].append(k)
        elif there:
            runs.append([k])
    return runs


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _across(place: int, places: int) -> float:
    return round(MARGIN + place / (places - 1) * (WIDTH - 2 * MARGIN), 1)


def _height(value: float, low: float, high: float) -> float:
    return round(MARGIN + (high - value) / (high - low) * (HEIGHT - 2 * MARGIN), 1)
