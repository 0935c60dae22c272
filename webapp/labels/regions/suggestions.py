"""Boxes that a heatmap suggests for a label; offered only once the reader has submitted a blind label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from classifier.contract import NORMAL
from webapp.analysis.models import Analysis

WEAKEST = 0.25  # of the heatmap's full strength: below it, the map points nowhere
SHARE = 0.5  # of the strongest cell, which the cells around it reach

Grid = Sequence[Sequence[float]]


def suggested_boxes(analysis: Analysis, findings: Sequence[str]) -> list[dict[str, Any]]:
    """For each finding whose map is strong enough a box in pixels of the original image: as in
    `labels.regions.shapes`, with `suggested`.
    """
    stored = getattr(analysis, "stored_cam", None)
    if stored is None or analysis.withheld:
        return []
    cam, scan = stored.cam, analysis.scan
    boxes = []
    for finding in findings:
        grid = cam["grids"].get(finding)
        if grid and finding != NORMAL and (cells := _strongest_part(grid, cam["scale"])):
            box = _box(cells, cam["affine"], scan.rows, scan.columns)
            if box["width"] >= 1 and box["height"] >= 1:
                boxes.append({"finding": finding} | box | {"suggested": True})
    return boxes


def _strongest_part(grid: Grid, scale: float) -> set[tuple[int, int]]:
    """The strongest cell and those connected to it, as (row, column)."""
    values = {(y, x): value for y, row in enumerate(grid) for x, value in enumerate(row)}
    top = max(values, key=values.__getitem__)
    if values[top] < WEAKEST * scale:
        return set()
    part, open_cells = {top}, [top]
    while open_cells:
        y, x = open_cells.pop()
        for cell in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if cell not in part and values.get(cell, 0.0) >= SHARE * values[top]:
                part.add(cell)
                open_cells.append(cell)
    return part


def _box(cells: set[tuple[int, int]], affine: Sequence[float], rows: int, columns: int) -> dict[str, float]:
    """The pixels that the cells cover: a cell ends half a cell from its centre, a pixel half a pixel."""
    top, left = (min(cell[axis] for cell in cells) - 0.5 for axis in (0, 1))
    bottom, right = (max(cell[axis] for cell in cells) + 0.5 for axis in (0, 1))
    a, b, c, d, e, f = affine
    xs = sorted(a * x + b * y + c + 0.5 for x, y in ((left, top), (right, bottom)))
    ys = sorted(d * x + e * y + f + 0.5 for x, y in ((left, top), (right, bottom)))
    x0, x1 = (round(min(max(x, 0.0), columns), 1) for x in xs)
    y0, y1 = (round(min(max(y, 0.0), rows), 1) for y in ys)
    return {"x": x0, "y": y0, "width": round(x1 - x0, 1), "height": round(y1 - y0, 1)}
