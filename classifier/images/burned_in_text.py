"""Detects burned-in text by rows of letter-like shapes, without a trained model."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from classifier.images.decoded_image import Metadata

DECLARED, SUSPECTED = "declared", "suspected"
# Brightness (0..255) by which a stroke differs from its surroundings.
_CONTRAST = 40
# Widest stroke in pixels: the window of the opening, a power of two.
_WIDEST = 8
_HEIGHTS = (5, 40)
_LONGEST_ROW, _FEWEST_LETTERS = 4, 6
_MOST_MARKS, _MOST_LETTERS = 6000, 1200
_COARSE_FROM = 512
_NEIGHBOURS = np.ones((3, 3), bool)


def burned_in(preview: np.ndarray, metadata: Metadata) -> str:
    """`declared` by the header (PS3.3 C.7.6.1.1), `suspected` from the pixels, or empty."""
    if str(metadata.get("BurnedInAnnotation") or "").upper() == "YES":
        return DECLARED
    return SUSPECTED if has_text(preview) else ""


def has_text(image: np.ndarray) -> bool:
    """Whether `image` uint8 (h, w), at most about 1,024 px a side, shows at least one word of several
    letters.

    A single R or L and pairs of letters do not count; PORTABLE and ERECT do, since names look alike.
    """
    rows = _rows_of_letters(image)
    return max(rows, default=0) >= _LONGEST_ROW and sum(rows) >= _FEWEST_LETTERS


def _rows_of_letters(image: np.ndarray) -> list[int]:
    """The number of letters in each row: bright and dark, small and (in the halved image) large ones."""
    rows = []
    for level in (image, _halved(image)) if max(image.shape) >= _COARSE_FROM else (image,):
        bright, dark = _strokes(level)
        rows += _rows(_letters(bright >= _CONTRAST)) + _rows(_letters(dark >= _CONTRAST))
    return rows


def _strokes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Contrast of thin bright and thin dark marks: what an opening and a closing remove."""
    opened = _sliding_extreme(_sliding_extreme(image, np.minimum, 1), np.maximum, -1)
    closed = _sliding_extreme(_sliding_extreme(image, np.maximum, 1), np.minimum, -1)
    return image - np.minimum(opened, image), np.maximum(closed, image) - image


def _sliding_extreme(image: np.ndarray, extreme: np.ufunc, towards: int) -> np.ndarray:
    """The extreme over a square window that starts (`towards` 1) or ends (-1) at each pixel, by doubling."""
    for axis in (0, 1):
        step = 1
        while step < _WIDEST:
            ahead, behind = [slice(None)] * 2, [slice(None)] * 2
            ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
            kept, other = (behind, ahead) if towards > 0 else (ahead, behind)
            result = image.copy()
            extreme(image[tuple(kept)], image[tuple(other)], out=result[tuple(kept)])
            image, step = result, 2 * step
    return image


def _halved(image: np.ndarray) -> np.ndarray:
    rows, columns = (side // 2 * 2 for side in image.shape)
    even = image[:rows, :columns].astype(np.uint16)
    return ((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) >> 2).astype(np.uint8)


def _letters(mask: np.ndarray) -> np.ndarray:
    """Boxes (top, bottom, left, right), from left to right, of connected marks shaped like letters."""
    labels, count = ndimage.label(mask, _NEIGHBOURS)
    if not 0 < count <= _MOST_MARKS:
        return np.empty((0, 4), int)
    boxes = np.array([(y.start, y.stop, x.start, x.stop) for y, x in ndimage.find_objects(labels)])
    heights, widths = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    areas = np.bincount(labels[mask], minlength=count + 1)[1:]
    fits = (heights >= _HEIGHTS[0]) & (heights <= _HEIGHTS[1])
    fits &= (widths <= 1.6 * heights) & (areas >= 0.15 * heights * widths)
    return boxes[fits][np.argsort(boxes[fits, 2], kind="stable")]


def _rows(boxes: np.ndarray) -> list[int]:
    """The lengths of runs of adjacent letters of similar height and baseline."""
    if not 1 < len(boxes) <= _MOST_LETTERS:
        return []
    tops, feet, lefts, rights = boxes.T
    heights = feet - tops
    free = np.ones(len(boxes), bool)
    lengths = []
    for first in range(len(boxes)):
        at, run = first, [first]
        while free[first]:
            reach = np.searchsorted(lefts, rights[at] + 1.3 * heights[at])
            near = np.arange(at + 1, reach)
            near = near[
                free[near]
                & (lefts[near] > np.maximum(lefts[at], rights[at] - 0.3 * heights[at]))
                & (np.abs(feet[near] - feet[at]) < 0.2 * heights[at] + 1)
                & (heights[near] > 0.6 * heights[first])
                & (heights[near] < 1.6 * heights[first])
            ]
            if not len(near):
                break
            at = near[0]
            run.append(at)
        free[run] = False
        if len(run) > 1:
            lengths.append(len(run))
    return lengths
