"""What an image gives away besides the lungs: hashes, size, borders, grey levels, sharpness; cached."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from tqdm import tqdm

from classifier.errors import Refused
from classifier.images.read import read_image

if TYPE_CHECKING:
    from classifier.data.manifest import Row

NUMBERS = ("rows", "columns", "border", "levels", "mean", "spread", "sharpness")
THUMB = 32
HASH = (8, 9)  # rows, columns: 64 differences of neighbours (dHash)
DARK = 0.03  # of the full range: what a black border has at most
VERSION = 1  # of this file's facts: another one is computed anew


@dataclass(frozen=True)
class ImageFacts:
    """Of each image: a reason where it cannot be read, hashes, NUMBERS (N, 7), thumbnails (N, 32, 32).

    `bytes` is the file's SHA-256, `pixels` that of the decoded pixels, `perceptual` a 64-bit dHash of the
    working image. `border` is the share of rows and columns that are black from the edge on.
    """

    reason: np.ndarray
    bytes: np.ndarray
    pixels: np.ndarray
    perceptual: np.ndarray
    numbers: np.ndarray
    thumbs: np.ndarray

    def number(self, name: str) -> np.ndarray:
        return self.numbers[:, NUMBERS.index(name)]

    def at(self, index: np.ndarray) -> ImageFacts:
        return ImageFacts(**{name: values[index] for name, values in vars(self).items()})


def facts_of(rows: Sequence[Row], cache: str | Path | None = None, *, progress: bool = True) -> ImageFacts:
    """ImageFacts of the rows' images; those of files that have not changed come from the folder `cache`."""
    keys = [_key(row) for row in rows]
    store = Path(cache) / "audit.npz" if cache else None
    known, old = _load(store) if store and store.exists() else ({}, None)
    missing = [index for index, key in enumerate(keys) if key not in known]
    bar = tqdm(missing, desc="looking at images", unit="img", disable=None if progress else True)
    new = {index: _look(rows[index].path) for index in bar}
    columns = {}
    for name in ImageFacts.__dataclass_fields__:
        columns[name] = np.array(
            [new[i][name] if i in new else getattr(old, name)[known[key]] for i, key in enumerate(keys)]
        )
    facts = ImageFacts(**columns)
    if store and missing:
        _save(store, keys, facts)
    return facts


def _key(row: Row) -> str:
    stat = row.path.stat()
    return f"{VERSION} {row.image} {stat.st_size} {stat.st_mtime_ns}"


def _load(store: Path) -> tuple[dict[str, int], ImageFacts]:
    with np.load(store, allow_pickle=False) as arrays:
        facts = ImageFacts(**{name: arrays[name] for name in ImageFacts.__dataclass_fields__})
        return {key: index for index, key in enumerate(arrays["keys"].tolist())}, facts


def _save(store: Path, keys: Sequence[str], facts: ImageFacts) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    temporary = store.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, keys=np.array(keys), **vars(facts))
    os.replace(temporary, store)


def _look(path: Path) -> dict[str, object]:
    empty = {
        "reason": "",
        "bytes": hashlib.sha256(path.read_bytes()).hexdigest(),
        "pixels": "",
        "perceptual": np.uint64(0),
        "numbers": np.zeros(len(NUMBERS), dtype=np.float32),
        "thumbs": np.zeros((THUMB, THUMB), dtype=np.uint8),
    }
    try:
        image = read_image(path)
    except Refused as refusal:
        return empty | {"reason": str(refusal.reason)}
    grey = image.working.astype(np.float32) / 65535
    small = Image.fromarray((grey * 255).round().astype(np.uint8))
    return empty | {
        "pixels": image.pixel_sha256,
        "perceptual": perceptual_hash(small),
        "numbers": np.array([image.rows, image.columns, *_tone(grey, image.working)], dtype=np.float32),
        "thumbs": np.asarray(small.resize((THUMB, THUMB), Image.Resampling.BOX)),
    }


def perceptual_hash(image: Image.Image) -> np.uint64:
    """64 bits: whether each cell of an 8 x 9 reduction is darker than its right neighbour."""
    cells = np.asarray(image.resize(HASH[::-1], Image.Resampling.BOX)).astype(int)
    bits = np.packbits((cells[:, :-1] < cells[:, 1:]).ravel())
    return np.frombuffer(bits.tobytes(), dtype=">u8").astype(np.uint64)[0]


def _tone(grey: np.ndarray, working: np.ndarray) -> tuple[float, ...]:
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
