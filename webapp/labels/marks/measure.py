"""What a mark measures, from its points, the pixel spacing of the file and the stored image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from webapp.core.errors import CodedError
from webapp.labels.marks.models import MarkKind
from webapp.scans.models import Scan
from webapp.scans.pixels import Spacing, grey_levels, spacing_of

Point = tuple[float, float]
POINTS = {
    MarkKind.LENGTH: 2,
    MarkKind.ANGLE: 3,
    MarkKind.RECTANGLE: 2,
    MarkKind.ELLIPSE: 2,
    MarkKind.PROBE: 1,
    MarkKind.ARROW: 2,
    MarkKind.CARDIOTHORACIC: 4,
}
LEAST = 0.5  # of a pixel: what is shorter was a click


def checked(scan: Scan, kind: str, points: Sequence[Sequence[float]]) -> list[list[float]]:
    """The points rounded to 0.01 pixel; raises CodedError `invalid` unless they make such a mark."""
    wanted = POINTS[MarkKind(kind)]
    if len(points) != wanted or any(len(point) != 2 for point in points):
        raise _invalid(f"A mark of the kind {kind} has {wanted} points of x and y, not {len(points)}.")
    for x, y in points:
        if not (0 <= x <= scan.columns and 0 <= y <= scan.rows):
            raise _invalid(
                f"The point ({x}, {y}) is outside the image of {scan.columns} x {scan.rows} pixels."
            )
    pairs = [(0, 1), (2, 3)] if wanted == 4 else [(n, n + 1) for n in range(wanted - 1)]
    if any(math.dist(points[a], points[b]) < LEAST for a, b in pairs):
        raise _invalid("Two points of the mark are the same.")
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points]


def measure(scan: Scan, kind: str, points: Sequence[Sequence[float]]) -> dict[str, Any]:
    """The values of a mark with checked points.

    Lengths: `px`, and where the file states a pixel spacing `mm` and `mm_at` (`detector`, `patient` or
    `unstated`; PS3.3 10.7.1.3). Angle: `degrees` at the second point. Rectangle and ellipse, between
    opposite corners of their frame: `mean`, `sd` (of the population), `min`, `max` and `pixels`, over those
    with their centre inside; probe: `value`. Grey levels are modality values: stored values after the
    file's rescale or modality LUT. Raises CodedError `invalid` where no pixel is inside, `unavailable`
    where the stored image cannot be read.
    """
    spacing = spacing_of(scan)
    if kind == MarkKind.LENGTH:
        return _length(points[0], points[1], spacing)
    if kind == MarkKind.ANGLE:
        return {"degrees": round(_angle(points, spacing), 1)}
    if kind == MarkKind.CARDIOTHORACIC:
        heart, thorax = (_length(points[n], points[n + 1], spacing) for n in (0, 2))
        unit = "mm" if spacing else "px"
        return {"heart": heart, "thorax": thorax, "ratio": round(heart[unit] / thorax[unit], 3)}
    return {} if kind == MarkKind.ARROW else _grey_values(scan, kind, points)


def _length(start: Sequence[float], end: Sequence[float], spacing: Spacing | None) -> dict[str, Any]:
    values: dict[str, Any] = {"px": round(math.dist(start, end), 1)}
    if spacing:
        values["mm"] = round(math.dist(_scaled(start, spacing), _scaled(end, spacing)), 1)
        values["mm_at"] = spacing.at
    return values


def _angle(points: Sequence[Sequence[float]], spacing: Spacing | None) -> float:
    first, corner, last = (_scaled(point, spacing) for point in points)
    one, other = (math.atan2(end[1] - corner[1], end[0] - corner[0]) for end in (first, last))
    turn = math.degrees(abs(one - other))
    return min(turn, 360 - turn)


def _scaled(point: Sequence[float], spacing: Spacing | None) -> Point:
    across, down = (spacing.column, spacing.row) if spacing else (1.0, 1.0)
    return point[0] * across, point[1] * down


def _grey_values(scan: Scan, kind: str, points: Sequence[Sequence[float]]) -> dict[str, Any]:
    # Loaded when a region is first measured, not with every process.
    import numpy as np

    levels = np.frombuffer(_stored(scan), dtype="<u2").reshape(scan.rows, scan.columns)
    if kind == MarkKind.PROBE:
        x, y = (min(int(at), side - 1) for at, side in zip(points[0], (scan.columns, scan.rows), strict=True))
        return {"value": round(float(levels[y, x]) * scan.slope + scan.intercept, 2)}
    (left, right), (top, bottom) = (sorted(side) for side in zip(*points, strict=True))
    across, down = np.arange(scan.columns) + 0.5, np.arange(scan.rows)[:, None] + 0.5
    if kind == MarkKind.RECTANGLE:
        inside = (across >= left) & (across < right) & (down >= top) & (down < bottom)
    else:
        wide, high = max((right - left) / 2, 1e-9), max((bottom - top) / 2, 1e-9)
        inside = ((across - left - wide) / wide) ** 2 + ((down - top - high) / high) ** 2 <= 1
    chosen = levels[inside].astype("float64") * scan.slope + scan.intercept
    if not chosen.size:
        raise _invalid("No pixel has its centre inside the region.")
    measured = {"mean": chosen.mean(), "sd": chosen.std(), "min": chosen.min(), "max": chosen.max()}
    return {name: round(float(value), 2) for name, value in measured.items()} | {"pixels": int(chosen.size)}


def _stored(scan: Scan) -> bytes:
    try:
        return grey_levels(scan)
    except (FileNotFoundError, ValueError) as error:
        raise CodedError("unavailable", "The image file is missing or damaged.", status=503) from error


def _invalid(message: str) -> CodedError:
    return CodedError("invalid", message)
