"""A class activation map drawn over its picture, as the reading page draws it (static/js/viewer/overlay.js).

The scale comes with the map and is never stretched to the map's own maximum: weak looks weak.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from classifier.contract import DISCLAIMER

# Inferno (S. van der Walt and N. Smith, CC0), the 33 stops of static/js/viewer/colours.js.
STOPS = (
    "000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e "
    "7d1e6d 8a226a 972766 a32c61 b0315b bc3754 c73e4c d24644 db503b e45a31 eb6628 "
    "f1731d f68013 f98e09 fb9d07 fcac11 fbbc21 f9cb35 f5db4c f2ea69 f3f68a fcffa4"
)
ANCHORS = np.array([list(bytes.fromhex(stop)) for stop in STOPS.split()], dtype=np.float64)


def overlay_png(
    preview: BinaryIO,
    cam: dict[str, Any],
    finding: str,
    *,
    rows: int,
    columns: int,
    opacity: float,
    title: str,
) -> bytes:
    """PNG of the preview with the finding's map on it; `rows` and `columns` are those of the original.

    `title` and the disclaimer are written into the picture's foot and its text chunks.
    """
    with Image.open(preview) as image:
        grey = np.asarray(image.convert("L"), dtype=np.float64)
    strength = strengths(cam, finding, size=grey.shape, rows=rows, columns=columns)
    place = strength * (len(ANCHORS) - 1)
    low = np.minimum(place.astype(int), len(ANCHORS) - 2)
    share = (place - low)[..., None]
    colour = ANCHORS[low] + (ANCHORS[low + 1] - ANCHORS[low]) * share
    alpha = (strength * opacity)[..., None]
    drawn = Image.fromarray(np.rint(grey[..., None] * (1 - alpha) + colour * alpha).astype(np.uint8))
    words = f"{title}. {DISCLAIMER}"
    return _written(_footed(drawn, words), words)


def strengths(
    cam: dict[str, Any], finding: str, *, size: tuple[int, int], rows: int, columns: int
) -> np.ndarray:
    """The map's value over its scale, 0 to 1, at each pixel of a picture of this `size` (height, width)."""
    grid, (a, b, c, d, e, f) = np.asarray(cam["grids"][finding], dtype=np.float64), cam["affine"]
    height, width = size
    x = (np.arange(width) + 0.5) * columns / width - 0.5 - c
    y = ((np.arange(height) + 0.5) * rows / height - 0.5 - f)[:, None]
    determinant = a * e - b * d
    column, row = (e * x - b * y) / determinant, (a * y - d * x) / determinant
    high, wide = grid.shape
    inside = (column >= -0.5) & (row >= -0.5) & (column <= wide - 0.5) & (row <= high - 0.5)
    column, row = np.clip(column, 0, wide - 1), np.clip(row, 0, high - 1)
    x0 = np.clip(column.astype(int), 0, max(wide - 2, 0))
    y0 = np.clip(row.astype(int), 0, max(high - 2, 0))
    x1, y1 = np.minimum(x0 + 1, wide - 1), np.minimum(y0 + 1, high - 1)
    top = grid[y0, x0] + (grid[y0, x1] - grid[y0, x0]) * (column - x0)
    bottom = grid[y1, x0] + (grid[y1, x1] - grid[y1, x0]) * (column - x0)
    value = (top + (bottom - top) * (row - y0)) / cam["scale"]
    return np.where(inside, np.clip(value, 0, 1), 0.0)


def _footed(picture: Image.Image, words: str) -> Image.Image:
    size = max(10, picture.width // 60)
    font = ImageFont.load_default(size)
    foot = Image.new("RGB", (picture.width, picture.height + 2 * size), "black")
    foot.paste(picture)
    ImageDraw.Draw(foot).text((size // 2, picture.height + size // 3), words, fill="#cccccc", font=font)
    return foot


def _written(picture: Image.Image, words: str) -> bytes:
    chunks, out = PngImagePlugin.PngInfo(), io.BytesIO()
    chunks.add_text("Description", words)
    picture.save(out, "PNG", pnginfo=chunks, compress_level=3)
    return out.getvalue()
