"""The common form of all file formats before grayscale rendering."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.decoded_image import Metadata
from classifier.images.limits import MAX_PIXELS, MAX_SIDE, MIN_SIDE
from classifier.reasons import RefusalReason

LUNG_WINDOW = (-600.0, 1500.0)
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class RawImage:
    """Grey levels, with their meaning as stated by the file.

    `levels` uint16 (H, W) in 0..2**bits-1; modality value = level * slope + intercept (slope not 0).
    `voi` float (2**bits,) is the brightness 0..1 of each level by the file's VOI LUT or window, or None;
    `window` (center, width) in modality units, None where `voi` is a curve. `inverted`: a higher
    modality value is darker (MONOCHROME1). `padding` bool (H, W): pixels that are no part of the image.
    `exposure`: levels are linear in the dose at the detector; film and processed images show its logarithm
    (PS3.3 C.8.11.3.1.2). `aspect` is the height of a pixel over its width. `notes`: what
    was corrected on reading, by code, with details.
    """

    levels: np.ndarray
    bits: int
    slot: Slot
    synthetic: bool
    pixel_sha256: str
    slope: float = 1.0
    intercept: float = 0.0
    voi: np.ndarray | None = None
    window: tuple[float, float] | None = None
    inverted: bool = False
    padding: np.ndarray | None = None
    exposure: bool = False
    aspect: float = 1.0
    notes: dict[str, Any] = field(default_factory=dict)
    metadata: Metadata = field(default_factory=dict)

    @property
    def top(self) -> int:
        return (1 << self.bits) - 1


def check_size(rows: int, columns: int) -> None:
    """Raise Refused(too_large | too_small) from the declared size alone."""
    if rows > MAX_SIDE or columns > MAX_SIDE or rows * columns > MAX_PIXELS:
        raise Refused(RefusalReason.TOO_LARGE, f"{columns} x {rows} pixels, too many")
    if min(rows, columns) < MIN_SIDE:
        raise Refused(RefusalReason.TOO_SMALL, f"{columns} x {rows} pixels")


def luma(rgb: np.ndarray) -> np.ndarray:
    """Grey (H, W) uint16 of colour (H, W, 3), ITU-R BT.601 weights; equal channels come out unchanged."""
    grey = np.zeros(rgb.shape[:2], np.float32)
    for channel, weight in enumerate(_LUMA):
        grey += rgb[..., channel] * np.float32(weight)
    return np.rint(grey).astype(np.uint16)


def over_black(grey: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Grey (H, W) uint16 over a black background; `opacity` (H, W) in 0..1."""
    return np.rint(grey * opacity).astype(np.uint16)


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of type and shape, then the values in little-endian order."""
    little = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    sha256 = hashlib.sha256(f"{little.dtype.str}{little.shape}\n".encode())
    sha256.update(little)
    return sha256.hexdigest()
