"""What an image shows besides the lungs: size, borders, grey levels, sharpness, and hashes to find copies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.decoded_image import DecodedImage

NUMBERS = ("rows", "columns", "border", "levels", "mean", "spread", "sharpness")
THUMB = 32
HASH = (8, 9)  # rows, columns: 64 differences of neighbours (dHash)
DARK = 0.03  # of the full range: upper limit of a black border
VERSION = 2  # of these statistics: those of another version are computed again


@dataclass(frozen=True)
class ImageStatistics:
    """Of each image: a reason if it is refused, hashes, NUMBERS (N, 7), thumbnails (N, 32, 32).

    `sha256` is that of the file, `pixels` that of the decoded pixels, `perceptual` a 64-bit dHash of the
    working image. `border` is the share of rows and columns that are black from the edge on.
    """

    reason: np.ndarray
    sha256: np.ndarray
    pixels: np.ndarray
    perceptual: np.ndarray
    numbers: np.ndarray
    thumbs: np.ndarray

    def number(self, name: str) -> np.ndarray:
        return self.numbers[:, NUMBERS.index(name)]

    def at(self, index: np.ndarray) -> ImageStatistics:
        return ImageStatistics(**{name: values[index] for name, values in vars(self).items()})


FIELDS = tuple(ImageStatistics.__dataclass_fields__)


class StatisticsStore:
    """Statistics by the sha256 of the files, kept in the file `path` if there is one."""

    def __init__(self, path: Path | None, slot: Slot) -> None:
        self.path, self.version, self.records = path, f"{VERSION} {slot}", {}
        if path and path.exists():
            with np.load(path, allow_pickle=False) as arrays:
                if "version" in arrays and str(arrays["version"]) == self.version:
                    for record in zip(*(arrays[name] for name in FIELDS), strict=True):
                        self.records[str(record[1])] = dict(zip(FIELDS, record, strict=True))
        self.saved = len(self.records)

    def lacks(self, at: int, sha256: str) -> bool:
        return sha256 not in self.records

    def add(self, at: int, sha256: str, decoded: DecodedImage | Refused) -> None:
        self.records[sha256] = {"sha256": sha256, **measured(decoded)}

    def finish(self, hashes: Sequence[str]) -> ImageStatistics:
        """Save; returns the statistics of these files, in order."""
        if self.path and len(self.records) > self.saved:
            temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
            with temporary.open("wb") as file:
                np.savez(file, version=self.version, **vars(self._of(list(self.records))))
            os.replace(temporary, self.path)
        return self._of(hashes)

    def _of(self, hashes: Sequence[str]) -> ImageStatistics:
        return ImageStatistics(**{n: np.array([self.records[key][n] for key in hashes]) for n in FIELDS})


def measured(decoded: DecodedImage | Refused) -> dict[str, Any]:
    """The statistics of one image, without the hash of its file."""
    if isinstance(decoded, Refused):
        return {
            "reason": str(decoded.reason),
            "pixels": "",
            "perceptual": np.uint64(0),
            "numbers": np.zeros(len(NUMBERS), dtype=np.float32),
            "thumbs": np.zeros((THUMB, THUMB), dtype=np.uint8),
        }
    grey = decoded.working.astype(np.float32) / 65535
    small = Image.fromarray((grey * 255).round().astype(np.uint8))
    numbers = [decoded.rows, decoded.columns, *_grey_levels(grey, decoded.working)]
    return {
        "reason": "",
        "pixels": decoded.pixel_sha256,
        "perceptual": perceptual_hash(small),
        "numbers": np.array(numbers, dtype=np.float32),
        "thumbs": np.asarray(small.resize((THUMB, THUMB), Image.Resampling.BOX)),
    }


def perceptual_hash(image: Image.Image) -> np.uint64:
    """64 bits: whether each cell of an 8 x 9 reduction is darker than its right neighbour."""
    cells = np.asarray(image.resize(HASH[::-1], Image.Resampling.BOX)).astype(int)
    bits = np.packbits((cells[:, :-1] < cells[:, 1:]).ravel())
    return np.frombuffer(bits.tobytes(), dtype=">u8").astype(np.uint64)[0]


def _grey_levels(grey: np.ndarray, working: np.ndarray) -> tuple[float, ...]:
    """Border, number of grey levels, mean, standard deviation, mean step between neighbours over it."""
    spread = float(grey.std())
    steps = (np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2
    levels = np.count_nonzero(np.bincount(working.ravel(), minlength=65536))
    return _border(grey), levels, float(grey.mean()), spread, float(steps / max(spread, 1e-6))


def _border(grey: np.ndarray) -> float:
    """Share of all rows and columns that lie between the edges and the first that is not black throughout."""
    share = 0
    for lines in (grey.max(axis=1) <= DARK, grey.max(axis=0) <= DARK):
        bright = np.flatnonzero(~lines)
        share += len(lines) - (bright[-1] - bright[0] + 1) if len(bright) else len(lines)
    return share / sum(grey.shape)
