"""VOI LUT and window (PS3.3 C.11.2)."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset

from classifier.images.dicom.metadata import number

Window = tuple[float, float]
SIGMOID = "SIGMOID"
_BYTES_PER_ENTRY = 2


def read_voi(dataset: Dataset, modality: np.ndarray) -> tuple[np.ndarray | None, Window | None]:
    """Brightness 0..1 of each modality value, and the linear window (center, width) behind it.

    The window is None where a curve decides: a sigmoid, or a VOI LUT, which takes precedence over a window.
    Of several the first is used. None, None if there is neither.
    """
    holder = functional_group(dataset, "FrameVOILUTSequence")
    item = table_item(holder, "VOILUTSequence")
    if item is not None:
        first, table, depth = lookup_table(item, dataset, modality)
        at = np.clip(np.floor(modality) - first, 0, len(table) - 1).astype(np.intp)
        return np.clip(table[at] / ((1 << depth) - 1), 0.0, 1.0), None
    window = _window(holder)
    if window is None:
        return None, None
    function = str(holder.get("VOILUTFunction") or "LINEAR").strip().upper()
    step = abs(float(modality[1] - modality[0])) if len(modality) > 1 else 1.0
    shown = apply_window(modality, window, function, step)
    return shown, None if function == SIGMOID else window


def apply_window(
    values: np.ndarray, window: Window, function: str = "LINEAR", step: float = 1.0
) -> np.ndarray:
    """Brightness 0..1 of `values` by PS3.3 C.11.2.1.2 (LINEAR, LINEAR_EXACT) and C.11.2.1.3.1 (SIGMOID).

    LINEAR assumes values that are integers; where they are `step` apart, less than 1, so are its constants.
    """
    center, width = window
    unit = min(step, 1.0)
    if function == SIGMOID:
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -60, 60)))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
    if width <= unit:
        return (values > center - unit / 2).astype(float)
    return np.clip((values - (center - unit / 2)) / (width - unit) + 0.5, 0.0, 1.0)


def table_item(holder: Dataset, keyword: str) -> Dataset | None:
    """The first item of a sequence of lookup tables; None if there is none, or it is empty."""
    items = holder.get(keyword)
    return items[0] if items and items[0].get("LUTDescriptor") and items[0].get("LUTData") else None


def lookup_table(item: Dataset, dataset: Dataset, inputs: np.ndarray) -> tuple[int, np.ndarray, int]:
    """(first value mapped, entries, bits an entry) of a LUT item for `inputs`; PS3.3 C.11.1.1.

    Raises ValueError.
    """
    count, first, depth = (int(v) for v in item.LUTDescriptor)
    # The descriptor may have been read as unsigned although the mapped values are signed.
    if first > inputs.max() and first - (1 << 16) <= inputs.max():
        first -= 1 << 16
    table = lut_entries(item.LUTData, count or 1 << 16, dataset)
    if not 1 <= depth <= 16 or len(table) == 0:
        raise ValueError("a lookup table is malformed")
    # Some writers state 16 bits and use fewer; the largest entry is then full brightness.
    return first, table, min(depth, max(int(table.max()).bit_length(), 1))


def lut_entries(data: object, count: int, dataset: Dataset) -> np.ndarray:
    """At most `count` unsigned entries int64 of a lookup table that is bytes or numbers."""
    if isinstance(data, bytes):
        order = "<" if dataset.original_encoding[1] is not False else ">"
        if len(data) >= _BYTES_PER_ENTRY * count:
            data = np.frombuffer(data, f"{order}u2", count)
        else:
            # Two 8-bit entries a word: in big endian the second comes first.
            paired = np.frombuffer(data, f"{order}u2", len(data) // _BYTES_PER_ENTRY)
            data = paired.astype("<u2").view(np.uint8)
    return np.atleast_1d(np.asarray(data)).astype(np.int64)[:count] & 0xFFFF


def functional_group(dataset: Dataset, keyword: str) -> Dataset:
    """The item of the only frame's macro `keyword` (PS3.3 C.7.6.16), or `dataset` where it has none."""
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        items = dataset.get(groups)
        if items and items[0].get(keyword):
            return items[0][keyword].value[0]
    return dataset


def _window(holder: Dataset) -> Window | None:
    center, width = number(holder.get("WindowCenter")), number(holder.get("WindowWidth"))
    return (center, width) if center is not None and width is not None and width > 0 else None


def nearest_window(modality: np.ndarray, shown: np.ndarray) -> Window:
    """The linear window through the points where a curve reaches 5 % and 95 % of its brightness range."""
    order = np.argsort(modality)
    values, bright = modality[order], shown[order]
    span = bright.max() - bright.min()
    low = values[np.argmax(bright >= bright.min() + 0.05 * span)]
    high = values[np.argmax(bright >= bright.min() + 0.95 * span)]
    width = max(abs(float(high - low)) / 0.9, 1.0)
    return float(low + high) / 2, width
