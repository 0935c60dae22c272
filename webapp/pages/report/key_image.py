"""A key image as it was marked, with the marks of its image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from classifier.images import heatmap
from webapp.labels.marks.models import MarkKind
from webapp.pages.report.images import windowed
from webapp.scans.models import Scan

KEY_IMAGE_SIDE = 480
COLOUR, SHADOW = (255, 220, 60), (0, 0, 0)  # seen on bright bone and on dark lung
HEAD = 10  # pixels of an arrow's head, and of a probe's cross

Point = tuple[float, float]


def key_view(
    scan: Scan, view: dict[str, Any], cam: dict[str, Any] | None, marks: Sequence[dict[str, Any]] = ()
) -> np.ndarray:
    """A key image as it was marked: its window, part, turn and heatmap; RGB, at most `KEY_IMAGE_SIDE` px.

    Of `marks` (`report.marks.mark_values`) the outlines and numbers that lie in the part are drawn.
    """
    grey = windowed(scan, view["width"], view["level"])
    left, top, right, bottom = np.clip(view["area"], 0, [scan.columns, scan.rows] * 2)
    shrink = min(1.0, KEY_IMAGE_SIDE / max(right - left, bottom - top, 1))
    sides = [max(round(side * shrink), 1) for side in (scan.columns, scan.rows)]
    grey = np.asarray(Image.fromarray(grey).resize((sides[0], sides[1]), Image.Resampling.LANCZOS))
    grey = 255 - grey if view["inverted"] else grey
    drawn = np.repeat(grey[..., None], 3, axis=2)
    if cam and view["opacity"] and view["finding"] in cam["grids"]:
        grid = np.array(cam["grids"][view["finding"]]) / cam["scale"]
        grid = np.where(grid < view["threshold"], 0, grid)
        original = (scan.rows, scan.columns)
        drawn = heatmap.draw_heatmap(grey, grid, cam["affine"], original, opacity=view["opacity"])
    x0, y0, x1, y1 = (round(edge * shrink) for edge in (left, top, right, bottom))
    part = drawn[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    right_x, down_x, right_y, down_y = view["axes"]
    turned = not right_x
    if turned:
        part, right_x, down_y = part.transpose(1, 0, 2), right_y, down_x
    shown = np.ascontiguousarray(part[::down_y, ::right_x])
    height, width = shown.shape[:2]

    def place(point: Sequence[float]) -> Point:
        x, y = point[0] * shrink - x0, point[1] * shrink - y0
        x, y = (y, x) if turned else (x, y)
        return (x if right_x > 0 else width - x, y if down_y > 0 else height - y)

    return _with_marks(shown, marks, place)


def _with_marks(
    image: np.ndarray, marks: Sequence[dict[str, Any]], place: Callable[[Sequence[float]], Point]
) -> np.ndarray:
    if not marks:
        return image
    drawn = Image.fromarray(image)
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(size=14)
    for mark in marks:
        points = [place(point) for point in mark["points"]]
        for line in outlines(mark["key"], points):
            pen.line(line, SHADOW, 4, joint="curve")
            pen.line(line, COLOUR, 2, joint="curve")
        x, y = points[-1]
        number = str(mark["number"])
        pen.text((x + 6, y - 18), number, COLOUR, font, stroke_width=2, stroke_fill=SHADOW)
    return np.asarray(drawn)


def outlines(kind: str, points: list[Point]) -> list[list[Point]]:
    """The lines that draw a mark, each a list of points."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    if kind == MarkKind.CARDIOTHORACIC:
        return [points[:2], points[2:]]
    if kind == MarkKind.RECTANGLE:
        return [[(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]]
    if kind == MarkKind.ELLIPSE:
        turn = [2 * math.pi * step / 48 for step in range(49)]
        middle, half = ((x0 + x1) / 2, (y0 + y1) / 2), ((x1 - x0) / 2, (y1 - y0) / 2)
        return [[(middle[0] + half[0] * math.cos(a), middle[1] + half[1] * math.sin(a)) for a in turn]]
    if kind == MarkKind.PROBE:
        side = HEAD / 2
        return [[(x0 - side, y0), (x0 + side, y0)], [(x0, y0 - side), (x0, y0 + side)]]
    if kind == MarkKind.ARROW:  # from its text to the target, which comes first
        back = math.atan2(y1 - y0, x1 - x0)
        ends = [
            (x0 + HEAD * math.cos(back + side), y0 + HEAD * math.sin(back + side)) for side in (-0.45, 0.45)
        ]
        return [points, [ends[0], (x0, y0), ends[1]]]
    return [points]
