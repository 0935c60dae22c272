"""Manifests' images as preprocessed squares, read once and then mapped from files."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from classifier.contract import ModelSpec
from classifier.data.manifest import Row, image_of
from classifier.errors import Refused
from classifier.networks.preprocess import WHOLE, Box, cut, to_unit_square

HELD_SHARE = 0.25  # of the device's free memory


def unit_squares(
    rows: Sequence[Row],
    spec: ModelSpec,
    cache: str | Path,
    *,
    box_of: Callable[[np.ndarray], Box] = lambda working: WHOLE,
    boxes: str = "",
    progress: bool = True,
) -> tuple[np.ndarray, dict[str, str]]:
    """Preprocessed images as read-only uint8 (N, size, size), and the refused images with their reasons.

    Kept in the folder `cache` under a name made from the files and the preprocessing, so that a second run,
    or a resumed one, maps them at once, and one with more images, or other ones, reads those alone. A
    refused image's square is zero: leave its row out. `box_of` gives the part of a working image that is
    kept; `boxes` names it, so that another one has a cache of its own.
    """
    folder = Path(cache)
    folder.mkdir(parents=True, exist_ok=True)
    how = _digest(f"{spec.size} {spec.resize} {spec.clip_percentiles} {spec.hounsfield} {boxes}")
    images = [_image(row) for row in rows]
    squares = folder / f"{how}-{_digest(*images)}.npy"
    index = squares.with_suffix(".json")
    if not (squares.exists() and index.exists()):
        known = _known(folder, how)

        def square(row: Row, decoded: str) -> np.ndarray:
            if decoded in known:
                store, at = known[decoded]
                return store[at]
            working = image_of(row, spec.slot).working
            unit = to_unit_square(cut(working, box_of(working)), spec)
            return (unit[0] * 255).round().to(torch.uint8).numpy()

        quiet = None if progress else True  # None: tqdm shows itself on a terminal only
        bar = tqdm(list(zip(rows, images, strict=True)), desc="reading images", unit="img", disable=quiet)
        _fill(squares, index, bar, square, (len(rows), spec.size, spec.size))
    return np.load(squares, mmap_mode="r"), json.loads(index.read_text())["refused"]


class Images:
    """Prepared images for training: all on the device where they fit, else read as they are asked for."""

    def __init__(self, squares: np.ndarray, index: np.ndarray, device: torch.device) -> None:
        """`squares` uint8 (N, size, size); `index` says which of them these images are, in order."""
        self.squares, self.index, self.device, self.held = squares, index, device, None
        size = len(index) * int(np.prod(squares.shape[1:]))
        if device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] * HELD_SHARE:
            self.held = torch.from_numpy(squares[index]).to(device)

    def __call__(self, chosen: np.ndarray) -> Tensor:
        """Unit squares float32 (n, 1, size, size) of the chosen ones."""
        if self.held is None:
            raw = torch.from_numpy(self.squares[self.index[chosen]]).to(self.device)
        else:
            raw = self.held[torch.from_numpy(chosen).to(self.device, non_blocking=True)]
        return raw.float().div_(255)[:, None]


def _fill(squares: Path, index: Path, pairs: Sequence, square: Callable, shape: tuple[int, ...]) -> None:
    refused: dict[str, str] = {}
    images: list[str | None] = []
    mine = secrets.token_hex(4)  # other runs may be keeping the same images
    temporary, listed = squares.with_suffix(f".{mine}.tmp"), index.with_suffix(f".{mine}.tmp.json")
    store = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
    for at, (row, decoded) in enumerate(pairs):
        try:
            store[at] = square(row, decoded)
        except Refused as refusal:
            refused[row.image] = str(refusal.reason)
        images.append(None if row.image in refused else decoded)
    store.flush()
    listed.write_text(json.dumps({"refused": refused, "images": images}))
    os.replace(listed, index)  # first: who sees the squares reads it
    os.replace(temporary, squares)


def _known(folder: Path, how: str) -> Mapping[str, tuple[np.ndarray, int]]:
    """Images that earlier calls have prepared in the same way, each with its store and its place there."""
    known: dict[str, tuple[np.ndarray, int]] = {}
    for squares in folder.glob(f"{how}-*.npy"):
        store = np.load(squares, mmap_mode="r")
        images = json.loads(squares.with_suffix(".json").read_text())["images"]
        known |= {decoded: (store, at) for at, decoded in enumerate(images) if decoded}
    return known


def _image(row: Row) -> str:
    stat = row.path.stat()
    return _digest(f"{row.path.resolve()} {stat.st_size} {stat.st_mtime_ns}")


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:32]
