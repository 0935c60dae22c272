"""The images of a report: the display image in its window, without and with the heatmap."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from django.utils.translation import gettext as _
from PIL import Image, UnidentifiedImageError

from classifier.images import heatmap
from webapp.core import storage
from webapp.pages.scan.images import unavailable
from webapp.scans.models import Scan

LONGEST_SIDE = 900


KEY_IMAGE_SIDE = 480


def plain(scan: Scan) -> np.ndarray:
    """The image in its window, 8-bit grey, at most `LONGEST_SIDE` px; raises CodedError `unavailable`."""
    image = Image.fromarray(_windowed(scan, scan.window_width, scan.window_center))
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


def key_view(scan: Scan, view: dict[str, Any], cam: dict[str, Any] | None) -> np.ndarray:
    """A key image as it was marked: its window, part, turn and heatmap; RGB, at most `KEY_IMAGE_SIDE` px."""
    grey = _windowed(scan, view["width"], view["level"])
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
    if not right_x:
        part, right_x, down_y = part.transpose(1, 0, 2), right_y, down_x
    return np.ascontiguousarray(part[::down_y, ::right_x])


def _windowed(scan: Scan, width: float, level: float) -> np.ndarray:
    """The display image in a window, 8-bit; raises CodedError `unavailable`."""
    try:
        with storage.open_file(scan.display_name) as file, Image.open(file) as stored:
            stored.load()
            levels = np.asarray(stored, dtype=np.float32)
    except (FileNotFoundError, UnidentifiedImageError) as error:
        raise unavailable(_("The image file is missing from storage.")) from error
    low = level - width / 2
    grey: np.ndarray = np.rint(255 * np.clip((levels - low) / max(width, 1e-6), 0, 1)).astype(np.uint8)
    return grey


def with_heatmap(grey: np.ndarray, scan: Scan, cam: dict[str, Any], finding: str) -> np.ndarray:
    """The image in RGB with the finding's heatmap over it, on the map's own scale."""
    grid = np.array(cam["grids"][finding]) / cam["scale"]
    return heatmap.draw_heatmap(grey, grid, cam["affine"], (scan.rows, scan.columns))


def side_by_side(scan: Scan, cam: dict[str, Any] | None, finding: str) -> np.ndarray:
    """The image, and where there is a map, the image with heatmap."""
    grey = plain(scan)
    alone = np.repeat(grey[..., None], 3, axis=2)
    if not cam or finding not in cam["grids"]:
        return alone
    gap = np.full((grey.shape[0], 12, 3), 255, np.uint8)
    return np.concatenate([alone, gap, with_heatmap(grey, scan, cam, finding)], axis=1)


def as_png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
