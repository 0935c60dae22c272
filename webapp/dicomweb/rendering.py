"""Rendered images (PS3.18 section 8.3.5): from the images that ingest made, never from the received file."""

from __future__ import annotations

import io
from collections.abc import Mapping

from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import Scan
from webapp.scans.pixels import grey_levels

MEDIA_TYPES = {"image/jpeg": "JPEG", "image/png": "PNG"}
MOST_SIDE = 8192
QUALITY = 90
CURVE_APPLIED = "This image is rendered by the VOI LUT or sigmoid of its file. Leave the window out."
WINDOW_FORM = "center,width,linear in the units of the modality"


def rendered(scan: Scan, kind: str, asked: Mapping[str, str], *, side: int = 0) -> bytes:
    """The image as `kind`, in the `window`, fitted to the `viewport` or `side`, of the `quality` asked for.

    Raises CodedError `invalid` for parameters that are none, `unavailable` for a missing file.
    """
    from PIL import Image

    window = _window(asked["window"]) if asked.get("window") else None
    width, height = _viewport(asked["viewport"]) if asked.get("viewport") else (side, side)
    quality = _number(asked.get("quality", str(QUALITY)), "quality", 1, 100)
    if window:
        image = Image.fromarray(_windowed(scan, *window))
    else:
        with storage.opened(scan.preview_name, "The image") as file, Image.open(file, formats=["PNG"]) as png:
            image = png.convert("L")
    if width and height:
        image.thumbnail((width, height), reducing_gap=2.0)
    written = io.BytesIO()
    image.save(written, MEDIA_TYPES[kind], **({"quality": int(quality)} if kind == "image/jpeg" else {}))
    return written.getvalue()


def _windowed(scan: Scan, center: float, width: float):
    """Grey levels through a linear window (PS3.3 C.11.2.1.2)."""
    import numpy as np

    if "curve_applied" in scan.notes:
        raise CodedError("invalid", fields={"window": [CURVE_APPLIED]})
    levels = np.frombuffer(grey_levels(scan), "<u2").reshape(scan.rows, scan.columns)
    values = levels * scan.slope + scan.intercept
    shown = (values - (center - 0.5)) / max(width - 1, 1e-6) + 0.5
    return (np.clip(shown, 0, 1) * 255).round().astype(np.uint8)


def _window(text: str) -> tuple[float, float]:
    center, _, rest = text.partition(",")
    width, _, function = rest.partition(",")
    if function.lower() not in ("", "linear"):
        raise CodedError("invalid", fields={"window": [f"Must be {WINDOW_FORM}."]})
    return _number(center, "window", -1e6, 1e6), _number(width, "window", 1, 1e6)


def _viewport(text: str) -> tuple[int, int]:
    width, _, height = text.partition(",")
    return int(_number(width, "viewport", 1, MOST_SIDE)), int(_number(height, "viewport", 1, MOST_SIDE))


def _number(text: str, name: str, least: float, most: float) -> float:
    try:
        value = float(text) if len(text) < 20 else least - 1
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise CodedError("invalid", fields={name: [f"Must be a number from {least:g} to {most:g}."]})
    return value
