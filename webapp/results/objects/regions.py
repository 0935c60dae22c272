"""Outlines of a heatmap where it is strong, in pixels of the stored image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from contourpy import contour_generator

from classifier.images.heatmap import sample_grid
from webapp.results.objects.content import Geometry

LEVEL = 0.5  # of full strength
SAMPLES = 192  # along the longer side
SMALLEST, MOST = 0.001, 5  # share of the image; regions, the largest first


def outlines(
    cam: Mapping[str, Any] | None, finding: str, geometry: Geometry, *, level: float = LEVEL
) -> list[np.ndarray]:
    """Closed polygons (n, 2) around the parts of the finding's map at or above `level` of its full strength.

    None where the map is weak: it is never scaled to its own maximum.
    """
    if not cam or finding not in cam["grids"]:
        return []
    rows, columns = geometry.shown
    shrink = min(1.0, SAMPLES / max(rows, columns))
    shape = (max(round(rows * shrink), 2), max(round(columns * shrink), 2))
    grid = np.array(cam["grids"][finding], dtype=float) / cam["scale"]
    # A border of zeros closes the outlines that reach the edge.
    strength = np.pad(sample_grid(grid, cam["affine"], geometry.shown, shape), 1)
    pixel = np.array([columns / shape[1], rows / shape[0]])
    lines = cast(list[np.ndarray], contour_generator(z=strength).lines(level))
    found = []
    for line in lines:
        points = np.clip((line - 0.5) * pixel, 0, [columns, rows])
        if len(points) > 3 and _area(points) >= SMALLEST * rows * columns:
            found.append(points)
    found.sort(key=_area, reverse=True)
    return [_closed(geometry.stored(points)) for points in found[:MOST]]


def _area(points: np.ndarray) -> float:
    x, y = points.T
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def _closed(points: np.ndarray) -> np.ndarray:
    rounded = np.round(points, 2)
    return rounded if (rounded[0] == rounded[-1]).all() else np.vstack([rounded, rounded[:1]])
