"""Grayscale rendering: the display, working and preview images of a decoded file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from classifier.contract import WORKING_MAX_SIDE, Slot
from classifier.errors import Refused
from classifier.images.burned_in_text import burned_in
from classifier.images.decoded_image import DecodedImage
from classifier.images.dicom.voi_lut import apply_window, nearest_window
from classifier.images.geometry import arranged
from classifier.images.polarity import is_negative
from classifier.images.raw_image import LUNG_WINDOW, RawImage
from classifier.reasons import RefusalReason

HU_LOW, HU_HIGH, HU_STEP = -1024, 3071, 16
_FULL = 65535
_ROBUST = (0.005, 0.995)
_SAMPLE = 4_000_000
_HEADROOM = 8192
_CURVE_WINDOW = (_FULL / 2, _FULL - 2.0 * _HEADROOM)
_MIN_SHARE, _MIN_REFERENCE_LEVELS, _MIN_SHOWN = 0.02, 800, 0.05


@dataclass(frozen=True)
class _Rendering:
    """Brightness 0..1 of each level, and its window (center, width) in levels, None for a curve."""

    brightness: np.ndarray
    window: tuple[float, float] | None


def render_grayscale(raw: RawImage) -> DecodedImage:
    """The display, working and preview images. Raises Refused(too_uniform)."""
    raw, arrangement = arranged(raw)
    low, high = _level_range(raw)
    if high - low < _MIN_SHARE * min(raw.top, _MIN_REFERENCE_LEVELS):
        raise Refused(RefusalReason.TOO_UNIFORM, f"spans only {high - low} grey levels, extremes left out")
    rendering = _rendering(raw, low, high)
    inverted = raw.inverted
    working = _working(raw, rendering, inverted)
    body_part = str(raw.metadata.get("BodyPartExamined") or "")
    turned = raw.slot is not Slot.CT and is_negative(working, body_part)
    if turned:
        inverted = not inverted
        working = _working(raw, rendering, inverted)
    preview = _preview(raw, rendering, working)
    raw = replace(raw, notes=raw.notes | arrangement)
    return _assemble(raw, rendering, working, preview, inverted, turned)


def _assemble(
    raw: RawImage,
    rendering: _Rendering,
    working: np.ndarray,
    preview: np.ndarray,
    inverted: bool,
    turned: bool,
) -> DecodedImage:
    slope, intercept = raw.slope, raw.intercept
    notes = raw.notes
    if rendering.window is None:
        display = _curved(1 - rendering.brightness if inverted else rendering.brightness)[raw.levels]
        (center, width), slope, intercept = _CURVE_WINDOW, 1.0, 0.0
        notes = notes | {"curve_applied": {}}
    else:
        display = raw.levels
        center, width = rendering.window
        if inverted != (raw.slope < 0):
            display = np.uint16(raw.top) - display
            center, slope, intercept = raw.top - center, -slope, intercept + slope * raw.top
    if raw.padding is not None:
        display = np.where(raw.padding, np.uint16(0), display)
    return DecodedImage(
        rows=display.shape[0],
        columns=display.shape[1],
        slot=raw.slot,
        synthetic=raw.synthetic,
        polarity_turned=turned,
        slope=slope,
        intercept=intercept,
        window_center=center,
        window_width=width,
        pixel_sha256=raw.pixel_sha256,
        burned_in=burned_in(preview, raw.metadata),
        notes=notes,
        metadata=raw.metadata,
        display=display,
        working=working,
        preview=preview,
    )


def _curved(brightness: np.ndarray) -> np.ndarray:
    """Display values uint16 of the levels that `_CURVE_WINDOW` shows with their brightness 0..1.

    Levels that a rising or falling curve shows as black or white stay apart outside the window: a wider one
    shows them.
    """
    shown = _HEADROOM + brightness * (_FULL - 2 * _HEADROOM)
    steps = np.diff(brightness)
    if (steps >= 0).all() or (steps <= 0).all():
        for end, towards in ((0.0, 0), (1.0, _FULL)):
            clipped = np.flatnonzero(brightness == end)
            if len(clipped):
                apart = np.linspace(shown[clipped[0]], towards, len(clipped))
                # The clipped levels next to the visible ones stay next to them.
                first = clipped[0] == 0 and clipped[-1] < len(brightness) - 1
                shown[clipped] = apart[::-1] if first else apart
    return np.rint(shown).astype(np.uint16)


def _level_range(raw: RawImage) -> tuple[int, int]:
    """The levels that bound the inner 99 % of the image, from a sample of about four million pixels."""
    stride = max(1, int(np.sqrt(raw.levels.size / _SAMPLE)))
    sample = raw.levels[::stride, ::stride]
    if raw.padding is not None:
        sample = sample[~raw.padding[::stride, ::stride]]
    if sample.size == 0:
        return 0, 0
    share = np.cumsum(np.bincount(sample.ravel(), minlength=raw.top + 1)) / sample.size
    return int(np.searchsorted(share, _ROBUST[0])), int(np.searchsorted(share, _ROBUST[1]))


def _rendering(raw: RawImage, low: int, high: int) -> _Rendering:
    """The VOI transformation of the file if it shows anything, else the used range, or a robust window."""
    levels = np.arange(raw.top + 1, dtype=np.float64)
    values = levels * raw.slope + raw.intercept
    window, brightness = raw.window, raw.voi
    if raw.slot is Slot.CT and window is None:
        # Of a CT slice the Hounsfield units are kept, so that a curve becomes the nearest linear window.
        window = LUNG_WINDOW if brightness is None else nearest_window(values, brightness)
        brightness = None
    if brightness is None and window is not None:
        brightness = apply_window(values, window, step=abs(raw.slope))
    if brightness is not None and abs(brightness[high] - brightness[low]) >= _MIN_SHOWN:
        if window is None:
            return _Rendering(brightness, None)
        center, width = window
        return _Rendering(brightness, ((center - raw.intercept) / raw.slope, width / abs(raw.slope)))
    if raw.exposure:
        return _logarithmic(levels, max(low, 1), high, raw.slope)
    if raw.bits <= 8 or high - low > raw.top // 2:
        low, high = 0, raw.top
    brightness = np.clip((levels - low) / (high - low), 0.0, 1.0)
    return _Rendering(brightness if raw.slope > 0 else 1 - brightness, ((low + high) / 2, float(high - low)))


def _logarithmic(levels: np.ndarray, low: int, high: int, slope: float) -> _Rendering:
    """Film-like rendering of a dose: its logarithm from `low` to `high`."""
    brightness = np.clip(np.log(np.maximum(levels, 1) / low) / np.log(max(high, low + 1) / low), 0.0, 1.0)
    return _Rendering(brightness if slope > 0 else 1 - brightness, None)


def _working(raw: RawImage, rendering: _Rendering, inverted: bool) -> np.ndarray:
    if raw.slot is not Slot.CT:
        return _shown(raw, rendering, inverted)
    hounsfield = np.arange(raw.top + 1) * raw.slope + raw.intercept
    return _drawn(raw, hounsfield_to_level(np.clip(hounsfield, HU_LOW, HU_HIGH)))


def _preview(raw: RawImage, rendering: _Rendering, working: np.ndarray) -> np.ndarray:
    """What the window shows; of a CT slice, padding as black and values below the working image too."""
    if raw.slot is not Slot.CT:
        return (working >> 8).astype(np.uint8)
    return np.rint(_shown(raw, rendering, raw.inverted) / 257).astype(np.uint8)


def _shown(raw: RawImage, rendering: _Rendering, inverted: bool) -> np.ndarray:
    return _drawn(raw, (1 - rendering.brightness if inverted else rendering.brightness) * _FULL)


def _drawn(raw: RawImage, table: np.ndarray) -> np.ndarray:
    """The image of a level for each grey level, padding as 0, made small."""
    full = np.rint(table).astype(np.uint16)[raw.levels]
    if raw.padding is not None:
        full[raw.padding] = 0
    return shrink(full)


def hounsfield_to_level(hounsfield):
    """The level of a value, or an array, of Hounsfield units in the working image of a CT slice."""
    return (hounsfield - HU_LOW) * HU_STEP


def shrink(pixels: np.ndarray, longest: int = WORKING_MAX_SIDE) -> np.ndarray:
    """`pixels` uint16 with the longer side at most `longest`, area-filtered; unchanged if it already is."""
    rows, columns = pixels.shape
    ratio = longest / max(rows, columns)
    if ratio >= 1:
        return pixels
    size = (max(1, round(columns * ratio)), max(1, round(rows * ratio)))
    resized = Image.fromarray(pixels.astype(np.float32)).resize(size, Image.Resampling.HAMMING)
    return np.clip(np.rint(np.asarray(resized)), 0, _FULL).astype(np.uint16)
