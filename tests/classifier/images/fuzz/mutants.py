"""Damaged files by number: the same seed and number make the same file of the same healthy ones."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable
from dataclasses import dataclass

from tests.classifier.images.fuzz.blind import Damage, anyhow
from tests.classifier.images.fuzz.dicom import dicom
from tests.classifier.images.fuzz.rasters import jpeg, png, tiff, webp
from tests.classifier.images.fuzz.seeds import Seed
from tests.classifier.images.fuzz.zips import archive

# Of a hundred files, how many are of each kind.
SHARES = {"dicom": 40, "png": 13, "jpeg": 13, "tiff": 12, "webp": 7, "zip": 15}
_KNOWING: dict[str, Damage] = {
    "dicom": dicom,
    "png": png,
    "jpeg": jpeg,
    "tiff": tiff,
    "webp": webp,
    "zip": archive,
}


@dataclass(frozen=True)
class Mutant:
    name: str
    number: int
    data: bytes


class Mutants:
    """`seeds`: at least one healthy file of every kind of `SHARES`."""

    def __init__(self, seeds: Iterable[Seed], seed: int) -> None:
        self.seed = seed
        self._by_kind: dict[str, list[Seed]] = {kind: [] for kind in SHARES}
        for healthy in seeds:
            self._by_kind[healthy.kind].append(healthy)

    def __getitem__(self, number: int) -> Mutant:
        dice = random.Random(f"{self.seed} {number}")
        kind = dice.choices(tuple(SHARES), tuple(SHARES.values()))[0]
        healthy = self._by_kind[kind]
        origin = dice.choices(healthy, [seed.weight for seed in healthy])[0]
        data = origin.data
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            data = _damaged(data, kind, dice)
        return Mutant(f"{self.seed}-{number}-{origin.name}", number, data)


def _damaged(data: bytes, kind: str, dice: random.Random) -> bytes:
    """Mostly damage that knows the format; blind damage also where what is left is no longer of it."""
    if dice.random() < 0.7:
        with contextlib.suppress(Exception):  # what is left of a file may break its reading in any way
            return _KNOWING[kind](data, dice)
    return anyhow(data, dice)
