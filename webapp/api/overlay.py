"""A class activation map drawn over its image, as the reading page draws it (static/js/scan/overlay.js).

The scale comes with the map and is never stretched to the map's own maximum: weak looks weak.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from classifier.contract import DISCLAIMER
from classifier.images.heatmap import draw_heatmap


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

    `title` and the disclaimer are written into the image's foot and its text chunks.
    """
    with Image.open(preview) as image:
        grey = np.asarray(image.convert("L"))
    grid = np.array(cam["grids"][finding]) / cam["scale"]
    drawn = draw_heatmap(grey, grid, cam["affine"], (rows, columns), opacity=opacity)
    words = f"{title}. {DISCLAIMER}"
    return _written(_footed(Image.fromarray(drawn), words), words)


def _footed(decoded: Image.Image, words: str) -> Image.Image:
    size = max(10, decoded.width // 60)
    font = ImageFont.load_default(size)
    foot = Image.new("RGB", (decoded.width, decoded.height + 2 * size), "black")
    foot.paste(decoded)
    ImageDraw.Draw(foot).text((size // 2, decoded.height + size // 3), words, fill="#cccccc", font=font)
    return foot


def _written(decoded: Image.Image, words: str) -> bytes:
    chunks, out = PngImagePlugin.PngInfo(), io.BytesIO()
    chunks.add_text("Description", words)
    decoded.save(out, "PNG", pnginfo=chunks, compress_level=3)
    return out.getvalue()
