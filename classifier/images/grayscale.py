"""Grey levels to the three images that Hilum keeps: display, working and preview."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from classifier.contract import WORKING_MAX_SIDE, RefusalReason, Slot
from classifier.errors import Refused
from classifier.images.burned_in_text import burned_in
from classifier.images.decoded_image import DecodedImage
from classifier.images.dicom.voi_lut import nearest_window, windowed
from classifier.images.polarity import is_negative
from classifier.images.source import LUNG_WINDOW, Source

HU_LOW, HU_HIGH, HU_STEP = -1024, 3071, 16
_FULL = 65535
_ROBUST = (0.005, 0.995)
_SAMPLE = 4_000_000
_MIN_SHARE, _MIN_REFERENCE_LEVELS, _MIN_SHOWN = 0.02, 800, 0.05


@dataclass(frozen=True)
class _Tone:
    """Brightness 0..1 of each level, and the window (center, width) in levels that says the same."""

    shown: np.ndarray
    window: tuple[float, float]


def image_of(source: Source) -> DecodedImage:
    """Display, working image and preview of `source`. Raises Refused(too_uniform)."""
    low, high = _bulk(source)
    if high - low < _MIN_SHARE * min(source.top, _MIN_REFERENCE_LEVELS):
        raise Refused(RefusalReason.TOO_UNIFORM, f"{high - low} grey levels between the outer half per cents")
    tone = _tone(source, low, high)
    inverted = source.inverted
    working = _working(source, tone, inverted)
    turned = source.slot is not Slot.CT and is_negative(working)
    if turned:
        inverted = not inverted
        working = _working(source, tone, inverted)
    preview = _preview(source, tone, working)
    return _assembled(source, tone, working, preview, inverted, turned)


def _assembled(
    source: Source, tone: _Tone, working: np.ndarray, preview: np.ndarray, inverted: bool, turned: bool
) -> DecodedImage:
    flipped = inverted != (source.slope < 0)
    center, width = tone.window
    slope, intercept = source.slope, source.intercept
    display = source.levels
    if flipped:
        display = np.uint16(source.top) - display
        center, slope, intercept = source.top - center, -slope, intercept + slope * source.top
    if source.padding is not None:
        display = np.where(source.padding, np.uint16(0), display)
    return DecodedImage(
        rows=display.shape[0],
        columns=display.shape[1],
        slot=source.slot,
        synthetic=source.synthetic,
        polarity_turned=turned,
        slope=slope,
        intercept=intercept,
        window_center=center,
        window_width=width,
        pixel_sha256=source.pixel_sha256,
        burned_in=burned_in(preview, source.metadata),
        metadata=source.metadata,
        display=display,
        working=working,
        preview=preview,
    )


def _bulk(source: Source) -> tuple[int, int]:
    """The levels that bound the inner 99 % of the image, from at most some four million pixels."""
    stride = max(1, int(np.sqrt(source.levels.size / _SAMPLE)))
    sample = source.levels[::stride, ::stride]
    if source.padding is not None:
        sample = sample[~source.padding[::stride, ::stride]]
    if sample.size == 0:
        return 0, 0
    share = np.cumsum(np.bincount(sample.ravel(), minlength=source.top + 1)) / sample.size
    return int(np.searchsorted(share, _ROBUST[0])), int(np.searchsorted(share, _ROBUST[1]))


def _tone(source: Source, low: int, high: int) -> _Tone:
    """The file's own brightness where it shows anything; else the range that is used, or a robust window."""
    levels = np.arange(source.top + 1, dtype=np.float64)
    window = source.window
    shown = source.shown
    if source.slot is Slot.CT and window is None:
        window = LUNG_WINDOW
    if shown is None and window is not None:
        shown = windowed(levels * source.slope + source.intercept, window)
    if shown is not None and window is not None and abs(shown[high] - shown[low]) >= _MIN_SHOWN:
        center, width = window
        return _Tone(shown, ((center - source.intercept) / source.slope, width / abs(source.slope)))
    if source.exposure:
        return _logarithmic(levels, max(low, 1), high, source.slope)
    if source.bits <= 8 or high - low > source.top // 2:
        low, high = 0, source.top
    shown = np.clip((levels - low) / (high - low), 0.0, 1.0)
    return _Tone(shown if source.slope > 0 else 1 - shown, ((low + high) / 2, float(high - low)))


def _logarithmic(levels: np.ndarray, low: int, high: int, slope: float) -> _Tone:
    """As film shows a dose: its logarithm from `low` to `high`, and the nearest linear window."""
    shown = np.clip(np.log(np.maximum(levels, 1) / low) / np.log(max(high, low + 1) / low), 0.0, 1.0)
    window = nearest_window(levels, shown)
    return _Tone(shown if slope > 0 else 1 - shown, window)


def _working(source: Source, tone: _Tone, inverted: bool) -> np.ndarray:
    if source.slot is Slot.CT:
        hounsfield = np.arange(source.top + 1) * source.slope + source.intercept
        table = level_of(np.clip(hounsfield, HU_LOW, HU_HIGH))
    else:
        table = (1 - tone.shown if inverted else tone.shown) * _FULL
    full = np.rint(table).astype(np.uint16)[source.levels]
    if source.padding is not None:
        full[source.padding] = 0
    return shrunk(full)


def _preview(source: Source, tone: _Tone, working: np.ndarray) -> np.ndarray:
    if source.slot is not Slot.CT:
        return (working >> 8).astype(np.uint8)
    center, width = tone.window
    hounsfield = np.arange(_FULL + 1) / HU_STEP + HU_LOW
    window = (center * source.slope + source.intercept, width * abs(source.slope))
    return np.rint(windowed(hounsfield, window) * 255).astype(np.uint8)[working]


def level_of(hounsfield):
    """The level that so many Hounsfield units, or an array of them, have in a CT slice's working image."""
    return (hounsfield - HU_LOW) * HU_STEP


def shrunk(pixels: np.ndarray, longest: int = WORKING_MAX_SIDE) -> np.ndarray:
    """`pixels` uint16 with the longer side at most `longest`, area-filtered; unchanged if it already is."""
    rows, columns = pixels.shape
    ratio = longest / max(rows, columns)
    if ratio >= 1:
        return pixels
    size = (max(1, round(columns * ratio)), max(1, round(rows * ratio)))
    resized = Image.fromarray(pixels.astype(np.float32)).resize(size, Image.Resampling.HAMMING)
    return np.clip(np.rint(np.asarray(resized)), 0, _FULL).astype(np.uint16)
