"""Upright images with square pixels, from the header's orientation and pixel sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from classifier.contract import Slot
from classifier.images.raw_image import RawImage, check_size

_SQUARE, _PLAUSIBLE = 1.005, 5.0
_ACROSS, _DOWN = frozenset("LR"), frozenset("HF")
_OPPOSITE = {"L": "R", "F": "H"}


def arranged(raw: RawImage) -> tuple[RawImage, dict[str, Any]]:
    """The image upright and with square pixels, and what was done, by code.

    `turned`: PatientOrientation of the stored image, and `transposed` where rows became columns.
    `square_pixels`: rows and columns of the stored image, which was enlarged along its longer pixel side.
    Raises Refused(too_large).
    """
    notes: dict[str, Any] = {}
    stored = raw.metadata.get("PatientOrientation")
    if raw.slot is not Slot.CT and isinstance(stored, list) and (steps := turns(stored)):
        transposed = "transpose" in steps
        notes["turned"] = {"stored": "\\".join(map(str, stored)), "transposed": transposed}
        aspect = 1 / raw.aspect if transposed else raw.aspect
        raw = replace(raw, aspect=aspect, **_each(raw, lambda pixels: _turned(pixels, steps)))
    if _SQUARE < max(raw.aspect, 1 / raw.aspect) <= _PLAUSIBLE:
        rows, columns = raw.levels.shape
        notes["square_pixels"] = {"rows": rows, "columns": columns}
        size = (rows, round(columns / raw.aspect)) if raw.aspect < 1 else (round(rows * raw.aspect), columns)
        check_size(*size)
        raw = replace(raw, aspect=1.0, **_each(raw, lambda pixels: _resized(pixels, size, raw.top)))
    return raw, notes


def turns(orientation: Sequence[Any]) -> tuple[str, ...]:
    """The steps that turn a stored frontal image upright with the patient's left on the right, as a reader
    faces the patient; none for another view or an unknown direction.

    `orientation` is PatientOrientation: the directions of the rows and of the columns (PS3.3 C.7.6.1.1.1).
    """
    if len(orientation) != 2:
        return ()
    rows, columns = (str(value or "").strip().upper()[:1] for value in orientation)
    steps = []
    if rows in _DOWN and columns in _ACROSS:
        steps.append("transpose")
        rows, columns = columns, rows
    if rows not in _ACROSS or columns not in _DOWN:
        return ()
    if rows == _OPPOSITE["L"]:
        steps.append("flip_horizontally")
    if columns == _OPPOSITE["F"]:
        steps.append("flip_vertically")
    return tuple(steps)


def _turned(pixels: np.ndarray, steps: Sequence[str]) -> np.ndarray:
    pixels = pixels.T if "transpose" in steps else pixels
    across = -1 if "flip_horizontally" in steps else 1
    down = -1 if "flip_vertically" in steps else 1
    return np.ascontiguousarray(pixels[::down, ::across])


def _each(raw: RawImage, change: Any) -> dict[str, Any]:
    return {
        "levels": change(raw.levels),
        "padding": None if raw.padding is None else change(raw.padding),
    }


def _resized(pixels: np.ndarray, size: tuple[int, int], top: int) -> np.ndarray:
    """`pixels` uint16 (cubic) or bool (nearest) with `size` rows and columns."""
    if pixels.dtype == bool:
        image = Image.fromarray(pixels.astype(np.uint8))
        return np.asarray(image.resize(size[::-1], Image.Resampling.NEAREST)).astype(bool)
    image = Image.fromarray(pixels.astype(np.float32))
    resized = np.asarray(image.resize(size[::-1], Image.Resampling.BICUBIC))
    return np.clip(np.rint(resized), 0, top).astype(np.uint16)
