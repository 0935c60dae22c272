"""Boxes that readers drew around findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from classifier.data.tables.table import table_in
from classifier.networks.preprocess import Box

COLUMNS = ("image", "x0", "y0", "x1", "y1")
PAINTED_SIDE = 256

Boxes = Mapping[str, Sequence[Box]]  # by image, as the manifest names it


def read_boxes(path: str | Path, images: Collection[str]) -> Boxes:
    """The boxes of these images: a CSV with `image,x0,y0,x1,y1`, in shares of the whole image.

    Raises ValueError naming the line when a column or a number is wrong, or if none of the images has a box.
    """
    path, found = Path(path), defaultdict(list)
    for record in table_in(path, COLUMNS).records:
        try:
            box = Box(*(float(record[name]) for name in COLUMNS[1:]))
            usable = 0 <= box.left < box.right <= 1 and 0 <= box.top < box.bottom <= 1
        except ValueError:
            usable = False
        if not usable:
            corners = ", ".join(record[name] for name in COLUMNS[1:])
            raise ValueError(
                f"{path.name}, line {record.line}: {corners} is not a box: give the left, upper, right and "
                "lower edge in shares of the image, from 0 to 1"
            )
        found[record["image"]].append(box)
    kept = {image: tuple(found[image]) for image in images if image in found}
    if not kept:
        raise ValueError(f"{path.name} has no box of an image of the manifest")
    return kept


def painted(boxes: Sequence[Box], side: int = PAINTED_SIDE) -> np.ndarray:
    """Bool (side, side): where the image, squeezed to a square, lies inside a box."""
    inside = np.zeros((side, side), bool)
    for box in boxes:
        top, bottom, left, right = (round(edge * side) for edge in (box.top, box.bottom, box.left, box.right))
        inside[top : max(bottom, top + 1), left : max(right, left + 1)] = True
    return inside


def holds(boxes: Sequence[Box], x: float, y: float) -> bool:
    """Whether a point, in shares of the image, lies inside a box."""
    return any(box.left <= x <= box.right and box.top <= y <= box.bottom for box in boxes)
