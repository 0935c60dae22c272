"""Training data of the input check: frontal chest X-rays, and OOD negatives by group.

OOD negatives are listed in CSV files with `image` and optional `group,source,patient,part` (train or test; a
manifest's `split` is accepted too).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from classifier.data.augment import Augment
from classifier.data.image_cache import Preprocessing, prepare
from classifier.data.manifest import Row
from classifier.data.tables.table import table_in
from classifier.images.decoded_image import DecodedImage
from classifier.images.read import read_image
from classifier.networks.input_check import CLIP_PERCENTILES, CUT_OFF, FRONTAL, LATERAL, OTHER, SIZE, TURNED
from classifier.networks.preprocess import unit_square
from classifier.training.input_check.ood_negatives import SIDE

LATERAL_GROUP = "lateral_chest"
CLOSE_UP = "close_up"  # of shoulder, neck or belly, cut from a chest X-ray: an OOD negative with real bones
CUT_FROM, WHOLE_UP_TO = 0.18, 0.05  # share of the lungs that lies outside the image
OUTSIDE_LUNGS = 0.88


@dataclass(frozen=True)
class Item:
    """One image. `group` is empty for a frontal chest X-ray; `part` is train, val or test."""

    path: Path
    group: str
    source: str
    patient: str
    part: str
    view: str = ""

    @property
    def kind(self) -> str:
        return FRONTAL if not self.group else LATERAL if self.group == LATERAL_GROUP else OTHER


def read_ood_negatives(path: Path, group: str = "") -> list[Item]:
    """Items of a CSV; `group` stands for a missing column, the file's folder for a missing source."""
    records = table_in(path, ("image",) if group else ("image", "group")).records
    return [
        Item(
            path=path.parent / record["image"],
            group=group or record["group"],
            source=record.get("source") or path.parent.name,
            patient=record.get("patient") or record["image"],
            part=record.get("part") or record.get("split") or "train",
            view=record.get("view") or "",
        )
        for record in records
    ]


def read_items(items: Sequence[Item], folder: Path) -> tuple[np.ndarray, list[str]]:
    """Images uint8 (N, SIDE, SIDE), cached in `folder`, and by item the reason of a refusal, else empty."""

    def make(decoded: DecodedImage) -> np.ndarray:
        return (unit_square(decoded.working, SIDE, CLIP_PERCENTILES)[0] * 255).round().to(torch.uint8).numpy()

    rows = [Row(str(item.path), item.path, None, item.patient) for item in items]
    preprocessing = Preprocessing(f"input check {SIDE} {CLIP_PERCENTILES}", SIDE, make)
    prepared = prepare(rows, preprocessing, folder, read=lambda row: read_image(row.path))
    return np.asarray(prepared.images), [prepared.refused.get(row.image, "") for row in rows]


def draw_shares(keys: Sequence[str], evenness: float) -> np.ndarray:
    """Chance of each item: `evenness` 1 draws its key as often as any other, 0 as often as it is there."""
    counts = Counter(keys)
    chance = np.array([counts[key] ** -evenness for key in keys])
    return chance / chance.sum()


class Views:
    """Random crops, rotations and mirrored views of images, of a kind that is known by construction."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([0x6A7E, seed])
        self.augment = Augment(seed=seed)

    def __call__(
        self, images: np.ndarray, kinds: Sequence[str], lungs: Sequence[np.ndarray | None]
    ) -> Tensor:
        """Images uint8 (N, SIDE, SIDE) to images in 0..1 (N, 1, SIZE, SIZE), placed and exposed at random."""
        unit = self.placed(images, kinds, lungs)
        for step in ("exposure", "resolution", "compression", "noise", "borders"):
            unit = getattr(self.augment, step)(unit)
        return unit.clamp(0.0, 1.0)

    def placed(self, images: np.ndarray, kinds: Sequence[str], lungs: Sequence[np.ndarray | None]) -> Tensor:
        """Each image cut, rotated and mirrored as its kind requires, in 0..1 (N, 1, SIZE, SIZE)."""
        theta = np.stack([self._view(kind, lung) for kind, lung in zip(kinds, lungs, strict=True)])
        unit = torch.from_numpy(images).float().div_(255)[:, None]
        grid = functional.affine_grid(torch.from_numpy(theta).float(), [len(unit), 1, SIZE, SIZE], False)
        return functional.grid_sample(unit, grid, align_corners=False)

    def _view(self, kind: str, lungs: np.ndarray | None) -> np.ndarray:
        """The 2 x 3 matrix of `affine_grid`: a window of the image, mirrored, turned."""
        if kind in (FRONTAL, TURNED):
            window = self._window_with(lungs, 0.0, WHOLE_UP_TO, most=0.12)
        elif kind == CUT_OFF:
            window = self._window_with(lungs, CUT_FROM, 0.75, most=0.6)
        elif kind == CLOSE_UP:
            window = self._close_up(lungs)
        else:
            window = self._window(0.15 if kind == LATERAL else 0.5)
        angle = self.rng.normal(0, 4 if kind in (FRONTAL, CUT_OFF) else 8)
        if kind == TURNED:
            angle += 90 * self.rng.integers(1, 4)
        if kind == OTHER:
            angle += 90 * self.rng.integers(4)
        return _matrix(window, np.deg2rad(angle), mirror=self.rng.random() < 0.5)

    def _window_with(self, lungs: np.ndarray | None, low: float, high: float, *, most: float) -> np.ndarray:
        """A window that leaves out a share of the lungs between two bounds, else the whole image."""
        for _ in range(12):
            window = self._window(most)
            if low <= lost_share(lungs, window) <= high:
                return window
        return np.array([0.0, 0.0, 1.0, 1.0]) if low == 0 else np.array([0.0, 0.0, 1.0, 0.45])

    def _close_up(self, lungs: np.ndarray | None) -> np.ndarray:
        """A small window with next to nothing of the lungs in it, else one of the lower edge."""
        for _ in range(20):
            width, height = self.rng.uniform(0.2, 0.5, 2)
            left, top = self.rng.random() * (1 - width), self.rng.random() * (1 - height)
            window = np.array([left, top, left + width, top + height])
            if lost_share(lungs, window) >= OUTSIDE_LUNGS:
                return window
        return np.array([0.2, 0.78, 0.8, 1.0])

    def _window(self, most: float) -> np.ndarray:
        """(left, top, right, bottom) in shares of the image: each side cut by up to `most`, or widened."""
        cut = self.rng.random(4) ** 2 * most * (self.rng.random(4) < 0.6)
        if self.rng.random() < 0.3:
            cut = -self.rng.random(4) * 0.08
        window = np.array([cut[0], cut[1], 1 - cut[2], 1 - cut[3]])
        if min(window[2] - window[0], window[3] - window[1]) < 0.25:
            return np.array([0.0, 0.0, 1.0, 1.0])
        return window


def lost_share(lungs: np.ndarray | None, window: np.ndarray) -> float:
    """Share of the lungs (weights (h, w)) outside a window; where they are unknown, of the inner image."""
    if lungs is None:
        lungs = np.zeros((20, 20))
        lungs[3:17, 2:18] = 1
    rows, columns = lungs.shape
    left, top, right, bottom = np.clip(window, 0, 1)
    inside = lungs[round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)]
    total = float(lungs.sum())
    return 1 - float(inside.sum()) / total if total else 0.0


def _matrix(window: np.ndarray, angle: float, *, mirror: bool) -> np.ndarray:
    left, top, right, bottom = window
    scale = np.diag([(right - left) * (-1 if mirror else 1), bottom - top])
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([scale @ turn, [left + right - 1, top + bottom - 1]])
