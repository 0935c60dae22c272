"""What reading a file yields: the facts about an image, and its arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from classifier.contract import Slot

Metadata = dict[str, str | float | list | None]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything known of one image but its pixels.

    Modality value (Hounsfield units for CT) = display * `slope` + `intercept`; `slope` is negative where
    the stored values were inverted for display. The window is in display units (PS3.3 C.11.2.1.2).
    `metadata` goes by DICOM keyword. `pixel_sha256` is that of the decoded stored pixels with their shape.
    `burned_in` is `declared` or `suspected` where something is written in the image itself.
    """

    rows: int
    columns: int
    slot: Slot
    synthetic: bool
    polarity_turned: bool
    slope: float
    intercept: float
    window_center: float
    window_width: float
    pixel_sha256: str
    burned_in: str = ""
    metadata: Metadata = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """The facts alone, as plain JSON values."""
        return {f.name: getattr(self, f.name) for f in fields(Facts)}


@dataclass(frozen=True, kw_only=True)
class DecodedImage(Facts):
    """Facts with pixels, all in MONOCHROME2 sense (a higher value is brighter).

    `display` uint16 (rows, columns); `working` uint16, longer side <= 1024: X-rays windowed to 0..65535,
    CT as (clip(HU, -1024, 3071) + 1024) * 16; `preview` uint8, the windowed image, same size as `working`.
    """

    display: np.ndarray
    working: np.ndarray
    preview: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ParseResult(Facts):
    """Facts with the names of the PNG files that hold the pixels: `display`, `working`, `preview`.

    Where identity was removed, `original` is the file itself without it, which the facts are of.
    """

    files: dict[str, str]

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> ParseResult:
        return cls(**{**raw, "slot": Slot(raw["slot"])})
