"""Detects radiographs with inverted polarity from the pixels, without a trained model."""

from __future__ import annotations

import numpy as np
from PIL import Image

_CERTAIN, _CERTAIN_CHEST = -0.4, -0.25
_CHEST = ("CHEST", "THORAX", "LUNG", "RIB", "STERNUM")
_COARSE, _GRID = 128, 32
_FLAT = 0.02


def is_negative(working: np.ndarray, body_part: str = "") -> bool:
    """Whether the radiograph `working` uint16 (h, w) is certainly a chest with air bright and bone dark.

    Certain means: its negative correlates with a schematic chest, and more than any rotation of the image as
    it is. `body_part` is BodyPartExamined: another part than the chest is never negative, and a chest needs
    less certainty. On 8,126 frontal radiographs of four public collections, stated to be chests, this inverts
    one, which is a negative, and detects 99.3 % of their negatives; 97 % where the part is not stated.
    """
    stated = body_part.strip().upper()
    is_chest = stated.startswith(_CHEST)
    if stated and not is_chest:
        return False
    upright, *turned = likeness(working)
    return upright < (_CERTAIN_CHEST if is_chest else _CERTAIN) and -upright > max(turned)


def likeness(working: np.ndarray) -> tuple[float, ...]:
    """Correlation, -1..1, with a schematic chest, upright and rotated by 90, 180 and 270 degrees.

    The image is resized to 32 x 32 without its flat borders. The schema has a bright spine and upper abdomen,
    dark lungs, dark sides and dark corners above the shoulders.
    """
    coarse = _resized(working.astype(np.float32) / 65535, _COARSE)
    decoded = _resized(_without_borders(coarse), _GRID)
    low, high = np.percentile(decoded, (1, 99))
    if high <= low:
        return 0.0, 0.0, 0.0, 0.0
    flat = np.clip(decoded, low, high).ravel()
    return tuple(float(np.corrcoef(flat, np.rot90(_schema(), k).ravel())[0, 1]) for k in range(4))


def _schema() -> np.ndarray:
    across = np.abs((np.arange(_GRID) + 0.5) / _GRID * 2 - 1)[None, :]
    down = ((np.arange(_GRID) + 0.5) / _GRID)[:, None]
    spine = np.exp(-((across / 0.22) ** 2))
    abdomen = down**3 * np.exp(-((across / 0.75) ** 6))
    lungs = np.exp(-(((across - 0.38) / 0.2) ** 2) - ((down - 0.42) / 0.3) ** 2)
    corners = np.exp(-down / 0.12) * across
    return 1.1 * spine + 2.4 * abdomen - 1.2 * lungs - 1.5 * across**6 - 1.2 * corners


def _without_borders(decoded: np.ndarray) -> np.ndarray:
    """The image without nearly uniform rows and columns at its edges: collimation, padding, frames."""
    kept = decoded
    for _ in range(2):
        rows = np.flatnonzero(_spread(kept, 1) > _FLAT)
        columns = np.flatnonzero(_spread(kept, 0) > _FLAT)
        if min(len(rows), len(columns)) < _COARSE // 4:
            return decoded
        kept = kept[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return kept


def _spread(decoded: np.ndarray, axis: int) -> np.ndarray:
    low, high = np.percentile(decoded, (10, 90), axis=axis)
    return high - low


def _resized(decoded: np.ndarray, side: int) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(decoded, dtype=np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))
