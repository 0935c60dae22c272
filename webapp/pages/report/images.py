"""The images of a report: the stored display image in its window, alone and under its heatmap."""

from __future__ import annotations

import io
from http import HTTPStatus
from typing import Any

import numpy as np
from django.utils.translation import gettext as _
from PIL import Image, UnidentifiedImageError

from classifier.images import heatmap
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import Scan

LONGEST_SIDE = 900


def plain(scan: Scan) -> np.ndarray:
    """The image as its window shows it, 8-bit grey, at most `LONGEST_SIDE` px.

    Raises CodedError `unavailable` where the store has lost it.
    """
    try:
        with storage.open_file(scan.display_name) as file, Image.open(file) as stored:
            stored.load()
            levels = np.asarray(stored, dtype=np.float32)
    except (FileNotFoundError, UnidentifiedImageError) as error:
        message = _("The image file is missing from storage.")
        raise CodedError("unavailable", message, status=HTTPStatus.SERVICE_UNAVAILABLE) from error
    low = scan.window_center - scan.window_width / 2
    grey = np.rint(255 * np.clip((levels - low) / max(scan.window_width, 1e-6), 0, 1)).astype(np.uint8)
    image = Image.fromarray(grey)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


def draw_heatmap(grey: np.ndarray, scan: Scan, cam: dict[str, Any], finding: str) -> np.ndarray:
    """The same image in RGB with the finding's map over it, on the scale that travels with the map."""
    grid = np.array(cam["grids"][finding]) / cam["scale"]
    return heatmap.draw_heatmap(grey, grid, cam["affine"], (scan.rows, scan.columns))


def side_by_side(scan: Scan, cam: dict[str, Any] | None, finding: str) -> np.ndarray:
    """The image and, where there is a map, the image under it."""
    grey = plain(scan)
    alone = np.repeat(grey[..., None], 3, axis=2)
    if not cam or finding not in cam["grids"]:
        return alone
    gap = np.full((grey.shape[0], 12, 3), 255, np.uint8)
    return np.concatenate([alone, gap, draw_heatmap(grey, scan, cam, finding)], axis=1)


def as_png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
