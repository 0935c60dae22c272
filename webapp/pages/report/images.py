"""The images of a report: the display image in its window, without and with the heatmap."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from django.utils.translation import gettext as _
from PIL import Image

from classifier.images import heatmap
from webapp.pages.scan.images import unavailable
from webapp.scans import pixels
from webapp.scans.models import Scan

LONGEST_SIDE = 900


def plain(scan: Scan) -> np.ndarray:
    """The image in its window, 8-bit grey, at most `LONGEST_SIDE` px; raises CodedError `unavailable`."""
    image = Image.fromarray(windowed(scan, scan.window_width, scan.window_center))
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


def windowed(scan: Scan, width: float, level: float) -> np.ndarray:
    """The display image in a window, 8-bit; raises CodedError `unavailable`."""
    try:
        return pixels.windowed(scan, width, level)
    except (FileNotFoundError, ValueError) as error:
        raise unavailable(_("The image file is missing from storage.")) from error


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
