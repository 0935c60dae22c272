"""The images of a data set, kept in a folder: each file is hashed once and decoded once."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from classifier.artifact.weights import write_atomically
from classifier.contract import ModelSpec, Slot
from classifier.data.manifest import Row, image_of
from classifier.data.validation.image_statistics import ImageStatistics, StatisticsStore
from classifier.errors import Refused
from classifier.images.decoded_image import DecodedImage
from classifier.images.raster.png import read_working, write_grey
from classifier.networks.preprocess import WHOLE, Box, cut, to_unit_square

HELD_SHARE = 0.25  # of the device's free memory
HASHES, STATISTICS, WORKING = "hashes.json", "statistics.npz", "working"


@dataclass(frozen=True)
class Preprocessing:
    """How a decoded image becomes a uint8 array (side, side); `name` identifies it among caches."""

    name: str
    side: int
    make: Callable[[DecodedImage], np.ndarray]


def preprocessing_for(
    spec: ModelSpec, *, box_of: Callable[[np.ndarray], Box] = lambda working: WHOLE, boxes: str = ""
) -> Preprocessing:
    """A model's network input before normalisation.

    `box_of` gives the part of a working image that is used; `boxes` names the method.
    """

    def make(decoded: DecodedImage) -> np.ndarray:
        unit = to_unit_square(cut(decoded.working, box_of(decoded.working)), spec)
        return (unit[0] * 255).round().to(torch.uint8).numpy()

    name = f"{spec.size} {spec.resize} {spec.clip_percentiles} {spec.hounsfield} {boxes}"
    return Preprocessing(name, spec.size, make)


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`: `images` uint8 (N, side, side), zero where refused; `refused` by image."""

    images: np.ndarray
    refused: dict[str, str]
    sha256: list[str]
    statistics: ImageStatistics | None
    working: WorkingImages

    def read(self, row: Row) -> tuple[np.ndarray, tuple[int, int]]:
        """A kept row's working image, and the rows and columns of its original."""
        return self.working.read(self.by_image[row.image])

    @property
    def by_image(self) -> dict[str, str]:
        return self.working.by_image


def prepare(
    rows: Sequence[Row],
    preprocessing: Preprocessing,
    folder: str | Path,
    *,
    read: Callable[[Row], DecodedImage] | None = None,
    slot: Slot = Slot.CXR,
    statistics: bool = False,
    keep: Collection[str] = (),
    others: Sequence[Store] = (),
    progress: bool = True,
) -> Prepared:
    """The rows' preprocessed images, their statistics on request, and working images of the parts `keep`.

    `others` are further stores to fill. All of it is kept in `folder` by the sha256 of the files, so that
    another run decodes new files only.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    hashes = hashes_of(rows, folder)
    arrays = _Arrays(folder, preprocessing, rows, hashes)
    working = WorkingImages(folder / WORKING, rows, hashes, keep)
    store = StatisticsStore(folder / STATISTICS, slot) if statistics else None
    stores = [arrays, working, *([store] if store else []), *others]
    _fill(stores, rows, hashes, read or (lambda row: image_of(row, slot)), progress=progress)
    images, refused = arrays.finish()
    found = store.finish(hashes) if store else None
    return Prepared(images, refused, hashes, found, working)


def statistics_of(
    rows: Sequence[Row], folder: Path | None = None, *, slot: Slot = Slot.CXR, progress: bool = True
) -> ImageStatistics:
    """The statistics of the rows' images; those of files that have not changed are kept in `folder`."""
    hashes = hashes_of(rows, folder)
    store = StatisticsStore(folder / STATISTICS if folder else None, slot)
    _fill([store], rows, hashes, lambda row: image_of(row, slot), progress=progress)
    return store.finish(hashes)


class Store(Protocol):
    """Something that is made of decoded images."""

    def lacks(self, at: int, sha256: str) -> bool: ...
    def add(self, at: int, sha256: str, decoded: DecodedImage | Refused) -> None: ...


def _fill(
    stores: Sequence[Store],
    rows: Sequence[Row],
    hashes: Sequence[str],
    read: Callable[[Row], DecodedImage],
    *,
    progress: bool,
) -> None:
    """Decode each image that some store lacks, once for all of them."""
    bar = tqdm(rows, desc="reading images", unit="img", disable=None if progress else True)
    for at, row in enumerate(bar):
        missing = [store for store in stores if store.lacks(at, hashes[at])]
        if missing:
            try:
                decoded: DecodedImage | Refused = read(row)
            except Refused as refusal:
                decoded = refusal
            for store in missing:
                store.add(at, hashes[at], decoded)


def hashes_of(rows: Sequence[Row], folder: Path | None = None) -> list[str]:
    """The sha256 of each row's file; those of files that have not changed are kept in `folder`.

    Raises ValueError for a file that differs from the manifest's column `sha256`.
    """
    store = folder / HASHES if folder else None
    known: dict[str, str] = json.loads(store.read_text()) if store and store.exists() else {}
    stats = [row.path.stat() for row in rows]
    keys = [f"{row.path.resolve()} {s.st_size} {s.st_mtime_ns}" for row, s in zip(rows, stats, strict=True)]
    new = {key: file_sha256(row.path) for key, row in zip(keys, rows, strict=True) if key not in known}
    if new and store:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(store, json.dumps(known | new).encode())
    hashes = [(known | new)[key] for key in keys]
    for row, sha256 in zip(rows, hashes, strict=True):
        if row.sha256 and row.sha256 != sha256:
            raise ValueError(
                f"{row.image} has changed since the manifest was written (its sha256 differs): "
                "restore the file or write the manifest again"
            )
    return hashes


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Arrays:
    """One file of all images by one preprocessing, and those of earlier calls that it starts from."""

    def __init__(
        self, folder: Path, preprocessing: Preprocessing, rows: Sequence[Row], hashes: Sequence[str]
    ) -> None:
        self.preprocessing, self.rows, self.hashes = preprocessing, rows, hashes
        how = _digest(preprocessing.name)
        self.path = folder / f"{how}-{_digest(*hashes)}.npy"
        self.index = self.path.with_suffix(".json")
        self.missing: set[int] = set()
        self.refused: dict[str, str] = {}
        if self.path.exists() and self.index.exists():
            return
        self.missing = set(range(len(rows)))
        self.mine = secrets.token_hex(4)  # other runs may be keeping the same images
        self.temporary = self.path.with_suffix(f".{self.mine}.tmp")
        shape = (len(rows), preprocessing.side, preprocessing.side)
        self.store = np.lib.format.open_memmap(self.temporary, mode="w+", dtype=np.uint8, shape=shape)
        known = _known(folder, how)
        for at, sha256 in enumerate(hashes):
            if sha256 in known:
                store, place = known[sha256]
                self.store[at] = store[place]
                self.missing.discard(at)

    def lacks(self, at: int, sha256: str) -> bool:
        return at in self.missing

    def add(self, at: int, sha256: str, decoded: DecodedImage | Refused) -> None:
        if isinstance(decoded, Refused):
            self.refused[self.rows[at].image] = str(decoded.reason)
        else:
            self.store[at] = self.preprocessing.make(decoded)

    def finish(self) -> tuple[np.ndarray, dict[str, str]]:
        """The images, mapped from the file, and the reasons of those that were refused."""
        if hasattr(self, "store"):
            self.store.flush()
            pairs = zip(self.rows, self.hashes, strict=True)
            images = [None if row.image in self.refused else sha256 for row, sha256 in pairs]
            listed = self.index.with_suffix(f".{self.mine}.tmp.json")
            listed.write_text(json.dumps({"refused": self.refused, "images": images}))
            os.replace(listed, self.index)  # first: a run that finds the arrays reads it
            os.replace(self.temporary, self.path)
        return np.load(self.path, mmap_mode="r"), json.loads(self.index.read_text())["refused"]


def _known(folder: Path, how: str) -> Mapping[str, tuple[np.ndarray, int]]:
    """Images that earlier calls have prepared in the same way, each with its array and its place there."""
    known: dict[str, tuple[np.ndarray, int]] = {}
    for path in folder.glob(f"{how}-*.npy"):
        array = np.load(path, mmap_mode="r")
        images = json.loads(path.with_suffix(".json").read_text())["images"]
        known |= {sha256: (array, at) for at, sha256 in enumerate(images) if sha256}
    return known


class WorkingImages:
    """Working images as PNG files, named by sha256 and by the rows and columns of the original."""

    def __init__(
        self, folder: Path, rows: Sequence[Row], hashes: Sequence[str], keep: Collection[str]
    ) -> None:
        self.folder = folder
        self.wanted = [row.split in keep for row in rows]
        self.by_image = {row.image: sha256 for row, sha256 in zip(rows, hashes, strict=True)}
        self.names = {path.name.split("-")[0]: path.name for path in folder.glob("*.png")}
        if any(self.wanted):
            folder.mkdir(exist_ok=True)

    def lacks(self, at: int, sha256: str) -> bool:
        return self.wanted[at] and sha256 not in self.names

    def add(self, at: int, sha256: str, decoded: DecodedImage | Refused) -> None:
        self.names[sha256] = ""
        if isinstance(decoded, DecodedImage):
            self.names[sha256] = f"{sha256}-{decoded.rows}-{decoded.columns}.png"
            temporary = self.folder / f"{sha256}.{secrets.token_hex(4)}.tmp"
            write_grey(temporary, decoded.working)
            os.replace(temporary, self.folder / self.names[sha256])

    def read(self, sha256: str) -> tuple[np.ndarray, tuple[int, int]]:
        _, rows, columns = Path(self.names[sha256]).stem.split("-")
        return read_working(self.folder / self.names[sha256]), (int(rows), int(columns))


class CachedImages:
    """Prepared images for training: all on the device if they fit, otherwise read on demand."""

    def __init__(self, images: np.ndarray, index: np.ndarray, device: torch.device) -> None:
        """`images` uint8 (N, size, size); `index` gives those of this part, in order."""
        self.images, self.index, self.device, self.held = images, index, device, None
        size = len(index) * int(np.prod(images.shape[1:]))
        if device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] * HELD_SHARE:
            self.held = torch.from_numpy(images[index]).to(device)

    def __call__(self, chosen: np.ndarray) -> Tensor:
        """Images float32 (n, 1, size, size) in 0..1."""
        if self.held is None:
            raw = torch.from_numpy(self.images[self.index[chosen]]).to(self.device)
        else:
            raw = self.held[torch.from_numpy(chosen).to(self.device, non_blocking=True)]
        return raw.float().div_(255)[:, None]


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:32]
