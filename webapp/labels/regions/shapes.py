"""Regions of a label: boxes and polygons around a finding, in pixels of the original image.

A box is {"finding", "x", "y", "width", "height"}, a polygon {"finding", "points": [[x, y], ...]}. `suggested`
is true for one that was taken from the heatmap; such a region is never part of a blind label.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from webapp.core.errors import CodedError
from webapp.labels.models import Assessment
from webapp.scans.models import Scan

MAX_REGIONS = 20
MAX_POINTS = 100
BOX = ("x", "y", "width", "height")
KEYS = {"finding", *BOX, "points", "suggested"}
SLACK = 0.1  # pixels: coordinates are kept to a tenth
Point = tuple[float, float]


def as_stored(region: Mapping[str, Any]) -> dict[str, Any]:
    """The region with its coordinates to a tenth of a pixel."""
    kept: dict[str, Any] = {"finding": region["finding"]}
    if "points" in region:
        kept["points"] = [[round(float(x), 1), round(float(y), 1)] for x, y in region["points"]]
    else:
        kept |= {key: round(float(region[key]), 1) for key in BOX}
    return kept | ({"suggested": True} if region.get("suggested") else {})


def check_regions(regions: Sequence[Mapping[str, Any]], words: Mapping[str, str], scan: Scan) -> None:
    """Raise CodedError `invalid` of the field `regions` for one that the image cannot have."""
    if len(regions) > MAX_REGIONS:
        raise _invalid(f"At most {MAX_REGIONS} regions; these are {len(regions)}.")
    for region in regions:
        if unknown := set(region) - KEYS:
            raise _invalid(f"A region has no {', '.join(sorted(map(str, unknown)))[:100]!r}.")
        if type(region.get("suggested", False)) is not bool:
            raise _invalid("`suggested` is true or false.")
        if ("points" in region) == bool(set(BOX) & set(region)):
            raise _invalid("A region is either a box (x, y, width, height) or a polygon (points).")
        if "points" in region:
            _check_polygon(region["points"], scan)
        else:
            _check_box(region, scan)
        if words.get(str(region.get("finding"))) not in (Assessment.PRESENT, Assessment.UNCERTAIN):
            raise _invalid("A region belongs to a finding that is present or uncertain.")


def _check_box(region: Mapping[str, Any], scan: Scan) -> None:
    numbers = [region.get(key) for key in BOX]
    if not all(map(_is_number, numbers)):
        raise _invalid("A box has x, y, width and height in pixels.")
    x, y, width, height = map(float, numbers)  # type: ignore[arg-type]
    if width < 1 or height < 1:
        raise _invalid("A box is at least a pixel wide and high.")
    _check_inside([(x, y), (x + width, y + height)], scan)


def _check_polygon(points: Any, scan: Scan) -> None:
    if not isinstance(points, list | tuple) or not 3 <= len(points) <= MAX_POINTS:
        raise _invalid(f"A polygon has 3 to {MAX_POINTS} points.")
    for point in points:
        if not isinstance(point, list | tuple) or len(point) != 2 or not all(map(_is_number, point)):
            raise _invalid("Each point of a polygon is [x, y] in pixels.")
    corners = [(float(x), float(y)) for x, y in points]
    _check_inside(corners, scan)
    if _crosses_itself(corners):
        raise _invalid("The edges of a polygon do not cross.")
    if _area(corners) < 1:
        raise _invalid("A polygon encloses at least a pixel.")


def _check_inside(points: Sequence[Point], scan: Scan) -> None:
    for x, y in points:
        if not (-SLACK <= x <= scan.columns + SLACK and -SLACK <= y <= scan.rows + SLACK):
            size = f"{scan.columns} x {scan.rows} pixels"
            raise _invalid(f"({x:g}, {y:g}) is outside the image of {size}.")


def _area(points: Sequence[Point]) -> float:
    following = [*points[1:], points[0]]
    twice = sum(x * v - u * y for (x, y), (u, v) in zip(points, following, strict=True))
    return abs(twice) / 2


def _crosses_itself(points: Sequence[Point]) -> bool:
    edges = list(zip(points, [*points[1:], points[0]], strict=True))
    return any(
        _cross(*edges[first], *edges[second])
        for first in range(len(edges))
        for second in range(first + 2, len(edges))
        if (first, second) != (0, len(edges) - 1)  # neighbours, through the start
    )


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _invalid(words: str) -> CodedError:
    return CodedError("invalid", words, fields={"regions": [words]})
