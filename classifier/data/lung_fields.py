"""Where the lungs of a data set's images are, and which part of each image is a model's input."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from classifier.errors import Refused
from classifier.images.decoded_image import DecodedImage
from classifier.networks.preprocess import WHOLE, Box

SIDE = 32
VERSION = 1

# A working image's input part, and the share (SIDE, SIDE) of each cell of it that the lungs cover.
Find = Callable[[np.ndarray], tuple[Box, np.ndarray]]


class LungFields:
    """The input part and the lungs of images, kept in a file by the sha256 of theirs.

    `wanted` (rows,) marks the rows that need them. A store of `image_cache.prepare`.
    """

    def __init__(self, path: Path, wanted: Sequence[bool], find: Find) -> None:
        self.path, self.wanted, self.find = path, wanted, find
        self.records: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        if path.exists():
            with np.load(path) as file:
                if file["version"] == VERSION:
                    found = zip(file["sha256"].tolist(), file["boxes"], file["lungs"], strict=True)
                    self.records = {sha256: (box, lungs) for sha256, box, lungs in found}
        self.saved = len(self.records)

    def lacks(self, at: int, sha256: str) -> bool:
        return self.wanted[at] and sha256 not in self.records

    def add(self, at: int, sha256: str, decoded: DecodedImage | Refused) -> None:
        if isinstance(decoded, DecodedImage):
            box, lungs = self.find(decoded.working)
            edges = np.array([box.left, box.top, box.right, box.bottom])
            self.records[sha256] = edges, (lungs * 255).round().astype(np.uint8)

    def save(self) -> None:
        if len(self.records) == self.saved:
            return
        boxes, lungs = zip(*self.records.values(), strict=True)
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            arrays = {"sha256": list(self.records), "boxes": np.array(boxes), "lungs": np.array(lungs)}
            np.savez_compressed(file, version=VERSION, **arrays)
        os.replace(temporary, self.path)

    def of(self, sha256: str) -> tuple[Box, np.ndarray | None]:
        """The input part of an image and its lungs, uint8 (SIDE, SIDE); the whole image if not known."""
        if sha256 not in self.records:
            return WHOLE, None
        box, lungs = self.records[sha256]
        return Box(*box.tolist()), lungs
