"""The result of reading an image file: facts and pixels."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from classifier.contract import Slot

Metadata = dict[str, str | float | list | None]


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """Everything known about an image except its pixels.

    Modality value (Hounsfield units for CT) = display * `slope` + `intercept`; `slope` is negative where
    the stored values were inverted for display. The window is in display units (PS3.3 C.11.2.1.2).
    `rows` and `columns` are those of the image as displayed. `metadata` goes by DICOM keyword.
    `pixel_sha256` is that of the decoded stored pixels with their shape. `burned_in` is `declared` or
    `suspected` where text is burned into the image, else empty. `notes`: what was corrected on reading, by
    code, with details: `turned`, `square_pixels` (`geometry.arranged`), `end_marker_missing`,
    `age_unreadable`, `curve_applied` (`display` follows a curve of the file and has no modality values).
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
    notes: dict[str, Any] = field(default_factory=dict)
    metadata: Metadata = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The facts as plain JSON values, without pixels."""
        return {f.name: getattr(self, f.name) for f in fields(ImageFacts)}


@dataclass(frozen=True, kw_only=True)
class DecodedImage(ImageFacts):
    """Facts with pixels; all pixels follow MONOCHROME2 (a higher value is brighter).

    `display` uint16 (rows, columns); `working` uint16, longer side <= 1024: X-rays windowed to 0..65535,
    CT as (clip(HU, -1024, 3071) + 1024) * 16; `preview` uint8, the windowed image, same size as `working`.
    """

    display: np.ndarray
    working: np.ndarray
    preview: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ParseResult(ImageFacts):
    """Facts with the names of the PNG files of the pixels: `display`, `working`, `preview`.

    After de-identification, `original` is the de-identified file, and the facts describe that file.
    """

    files: dict[str, str]

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> ParseResult:
        return cls(**{**raw, "slot": Slot(raw["slot"])})
