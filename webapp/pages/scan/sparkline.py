"""Probabilities over time as small line drawings: points of an SVG, placed by real time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

WIDTH, HEIGHT, MARGIN = 200, 40, 4


@dataclass(frozen=True)
class Sparkline:
    """`points` is an SVG polyline's; `dots` are its (x, y); 1.0 is at the top, 0.0 at the bottom."""

    finding: str
    points: str
    dots: list[tuple[float, float]]
    first: float
    last: float


def sparklines(series: Sequence[tuple[datetime, Mapping[str, float]]]) -> list[Sparkline]:
    """One drawing a finding, of the moments that have it; nothing for fewer than two moments."""
    answered = [(at, values) for at, values in series if values]
    if len(answered) < 2:
        return []
    start, end = min(at for at, _ in answered), max(at for at, _ in answered)
    span = (end - start).total_seconds() or 1.0
    drawings = []
    for finding in dict.fromkeys(f for _, values in answered for f in values):
        told = [(at, values[finding]) for at, values in answered if finding in values]
        dots = [(_x((at - start).total_seconds() / span), _y(value)) for at, value in told]
        points = " ".join(f"{x},{y}" for x, y in dots)
        drawings.append(Sparkline(finding, points, dots, told[0][1], told[-1][1]))
    return drawings


def _x(share: float) -> float:
    return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)


def _y(value: float) -> float:
    return round(MARGIN + (1 - value) * (HEIGHT - 2 * MARGIN), 1)
