"""Palette colour lookup (PS3.3 C.7.6.3.1.5 and C.7.6.3.1.6)."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.pixels import apply_color_lut

from classifier.images.dicom.voi_lut import lut_entries

_COLOURS = ("Red", "Green", "Blue")


def apply_palette(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """RGB (rows, columns, 3) uint8 or uint16 of `pixels`, using the full range of its type. Raises
    ValueError.

    Values outside the table take its nearest end. Tables with 8-bit entries in 16-bit words are common and
    treated as 8-bit.
    """
    if "RedPaletteColorLookupTableData" not in dataset:
        return apply_color_lut(pixels, dataset)[..., :3]  # segmented
    tables, first = [], 0
    for colour in _COLOURS:
        stem = f"{colour}PaletteColorLookupTable"
        count, first, _ = (int(v) for v in dataset[f"{stem}Descriptor"].value)
        tables.append(lut_entries(dataset[f"{stem}Data"].value, count or 1 << 16, dataset))
    if dataset.PixelRepresentation and first >= 1 << 15:
        first -= 1 << 16
    lengths = {len(table) for table in tables}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError("a palette is malformed")
    at = np.clip(pixels.astype(np.int64) - first, 0, len(tables[0]) - 1)
    rgb = np.stack([table[at] for table in tables], axis=-1)
    return rgb.astype(np.uint16 if max(int(table.max()) for table in tables) > 255 else np.uint8)
