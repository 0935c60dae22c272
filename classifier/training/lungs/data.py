"""What the lung segmenter learns from: images with masks, images without lungs, varied views."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from classifier.contract import Slot
from classifier.data.augment import Augment
from classifier.data.manifest import Row, with_split
from classifier.data.tables.table import table_in
from classifier.errors import Refused
from classifier.images.read import read_image
from classifier.networks.lung_segmenter import CLIP_PERCENTILES, SIZE
from classifier.networks.preprocess import unit_square

SOURCE_SIZE = 192  # more than the segmenter sees, so that crops of an image stay sharp
ROTATION_DEGREES = 12.0
MANNERS = {"mild": 0.4, "cropped": 0.35, "far": 0.25}
WRITING = ("R", "L", "AP", "PA", "ERECT", "MOBILE", "SUPINE 3", "2020/01/17 11:42", "(B)", "->")


@dataclass
class Images:
    """Squares uint8 (N, S, S) and masks uint8 (N, 2, S, S), 0 to 255, with a row each."""

    images: np.ndarray
    masks: np.ndarray
    rows: list[Row]

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, name: str) -> Images:
        return self.only([i for i, row in enumerate(self.rows) if row.split == name])

    def only(self, index: Sequence[int]) -> Images:
        index = np.asarray(index, dtype=int)
        return Images(self.images[index], self.masks[index], [self.rows[i] for i in index])

    def __add__(self, other: Images) -> Images:
        images = np.concatenate([self.images, other.images])
        return Images(images, np.concatenate([self.masks, other.masks]), self.rows + other.rows)


def read_images(rows: Sequence[Row], masks: Path | None = None, *, title: str = "reading") -> Images:
    """The readable images of `rows`; with the masks of the same name in a folder, else empty ones."""
    found, kept = without_lungs(len(rows)), []
    for row in tqdm(rows, desc=title, unit="img", disable=None):
        try:
            working = read_image(row.path, Slot.CXR).working
        except Refused:
            continue
        square = unit_square(working, SOURCE_SIZE, CLIP_PERCENTILES)[0]
        found.images[len(kept)] = (square * 255).round().to(torch.uint8).numpy()
        if masks:
            lungs = resized(split_lungs(read_mask(row, masks)), SOURCE_SIZE, antialias=True)
            found.masks[len(kept)] = np.rint(lungs * 255)
        kept.append(row)
    return Images(found.images[: len(kept)], found.masks[: len(kept)], kept)


def without_lungs(count: int) -> Images:
    """Black images with empty masks, to be filled."""
    shape = (SOURCE_SIZE, SOURCE_SIZE)
    return Images(np.zeros((count, *shape), np.uint8), np.zeros((count, 2, *shape), np.uint8), [])


def mask_of(row: Row, masks: Path) -> Path:
    return masks / f"{Path(row.image).stem}.png"


def read_mask(row: Row, masks: Path) -> np.ndarray:
    """The mask of an image as bool (H, W)."""
    with Image.open(mask_of(row, masks), formats=["PNG"]) as image:
        return np.asarray(image.convert("L")) > 127


def split_lungs(mask: np.ndarray) -> np.ndarray:
    """Bool (H, W) to bool (2, H, W): the lung on the image's left and the one on its right.

    The two largest connected parts are the lungs, a smaller one goes with the nearer; a single part is cut
    at its middle column.
    """
    labels, count = ndimage.label(mask)
    columns = np.arange(mask.shape[1])[None, :]
    if count < 2:
        middle = np.flatnonzero(mask.any(axis=0)).mean() if count else 0.0
        return np.stack([mask & (columns <= middle), mask & (columns > middle)])
    numbers = np.arange(1, count + 1)
    sizes = ndimage.sum_labels(mask, labels, numbers)
    across = np.array([centre[1] for centre in ndimage.center_of_mass(mask, labels, numbers)])
    first, second = sorted(across[np.argsort(sizes)[-2:]])
    nearer_second = np.abs(across - second) < np.abs(across - first)
    side = np.concatenate([[False], nearer_second])[labels]
    return np.stack([mask & ~side, mask & side])


def resized(planes: np.ndarray, size: int | tuple[int, int], *, antialias: bool = False) -> np.ndarray:
    """Planes (2, h, w) at another size, as float32."""
    batch = torch.from_numpy(planes.astype(np.float32))[None]
    size = (size, size) if isinstance(size, int) else size
    return functional.interpolate(batch, size=size, mode="bilinear", antialias=antialias)[0].numpy()


def negative_rows(manifests: Sequence[Path], *, seed: int) -> list[Row]:
    """Rows of CSVs with `image` and optional `patient`, `group` (or `source`) and `split` (or `part`)."""
    rows = []
    for path in manifests:
        for record in table_in(path, ("image",)).records:
            image, split = path.parent / record["image"], record.get("split") or record.get("part")
            source = record.get("group") or record.get("source") or path.parent.name
            patient = f"{path.parent.name}/{record.get('patient') or record['image']}"
            rows.append(Row(str(image), image, None, patient, source, split or None))
    return with_split(rows, seed=seed)


def blank_images(count: int, *, seed: int) -> Images:
    """Images made by code, without lungs: noise of several grains, slopes, ellipses, pages of writing."""
    rng = np.random.default_rng(seed)
    made = without_lungs(count)
    for i, maker in zip(range(count), itertools.cycle((_noise, _slope, _shapes, _page)), strict=False):
        made.images[i] = maker(rng)
        made.rows.append(Row(f"code-{i}", Path(), None, f"code-{i}", maker.__name__.strip("_")))
    return made


def _noise(rng: np.random.Generator) -> np.ndarray:
    grain = rng.standard_normal((SOURCE_SIZE, SOURCE_SIZE))
    return _stretched(ndimage.gaussian_filter(grain, float(np.exp(rng.uniform(-1, 3)))))


def _slope(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : SOURCE_SIZE * 1j, -1 : 1 : SOURCE_SIZE * 1j]
    a, b, c = rng.normal(size=3)
    return _stretched(a * x + b * y + c * (x**2 + y**2) + 0.05 * rng.standard_normal(x.shape))


def _shapes(rng: np.random.Generator) -> np.ndarray:
    image = Image.new("L", (SOURCE_SIZE, SOURCE_SIZE), int(rng.integers(256)))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 12))):
        corners = rng.integers(0, SOURCE_SIZE, (2, 2))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape([*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()], fill=int(rng.integers(256)))
    return np.asarray(image)


def _page(rng: np.random.Generator) -> np.ndarray:
    image = Image.new("L", (SOURCE_SIZE, SOURCE_SIZE), 245)
    draw, left = ImageDraw.Draw(image), int(rng.integers(4, 40))
    for y in range(int(rng.integers(4, 30)), SOURCE_SIZE, int(rng.integers(9, 22))):
        words = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz     "), int(rng.integers(5, 40))))
        draw.text((left, y), words, fill=int(rng.integers(90)))
    return np.asarray(image)


def _stretched(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    return ((values - low) / max(high - low, 1e-9) * 255).astype(np.uint8)


class Vary:
    """Random views of uint8 images (N, S, S) and masks (N, 2, S, S), as float (N, 1 or 2, SIZE, SIZE).

    Crops cut lungs off, borders surround them, sides are mirrored (with their masks), proportions change, as
    squashing does. What an image looks like is varied by `Augment`; its range is then clipped as in service.
    """

    def __init__(self, *, seed: int) -> None:
        self.look = Augment(seed=seed)
        self.rng = np.random.default_rng(seed)

    def __call__(self, images: np.ndarray, masks: np.ndarray) -> tuple[Tensor, Tensor]:
        unit = torch.from_numpy(images).float().div_(255)[:, None]
        lungs = torch.from_numpy(masks).float().div_(255)
        unit, lungs = self.framed(*self.moved(unit, lungs))
        unit = self.look.resolution(self.look.exposure(unit))
        unit = self.inscribed(self.look.noise(self.look.compression(unit)))
        return clipped(unit), lungs

    def moved(self, unit: Tensor, lungs: Tensor) -> tuple[Tensor, Tensor]:
        count = len(unit)
        matrix, mirrored = np.zeros((count, 2, 3), np.float32), self.rng.random(count) < 0.5
        for i, manner in enumerate(self.rng.choice(list(MANNERS), count, p=list(MANNERS.values()))):
            low, high = {"mild": (-0.2, 0.2), "cropped": (-0.65, 0.0), "far": (0.0, 0.5)}[manner]
            reach = np.exp(self.rng.uniform(low, high, 2))  # of the view, in sizes of the image
            matrix[i, :, 2] = self.rng.uniform(-1, 1, 2) * (np.abs(1 - reach) + 0.03)
            angle = math.radians(self.rng.normal(0, ROTATION_DEGREES / 2))
            turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
            matrix[i, :, :2] = turn * reach
            if mirrored[i]:
                matrix[i, 0] *= -1
        lungs = torch.where(torch.from_numpy(mirrored)[:, None, None, None], lungs.flip(1), lungs)
        grid = functional.affine_grid(torch.from_numpy(matrix), [count, 1, SIZE, SIZE], align_corners=False)
        shade = np.where(self.rng.random(count) < 0.7, 0.0, self.rng.random(count)).astype(np.float32)
        outside = torch.from_numpy(shade)[:, None, None, None]
        unit = functional.grid_sample(unit - outside, grid, align_corners=False) + outside
        return unit, functional.grid_sample(lungs, grid, align_corners=False)

    def framed(self, unit: Tensor, lungs: Tensor) -> tuple[Tensor, Tensor]:
        """A quarter of the images get a border, which hides what lies under it."""
        for decoded, mask in zip(unit, lungs, strict=True):
            if self.rng.random() < 0.25:
                top, bottom, left, right = (self.rng.uniform(0, 0.09, 4) * SIZE).astype(int)
                hidden = torch.ones(SIZE, SIZE, dtype=torch.bool)
                hidden[top : SIZE - bottom, left : SIZE - right] = False
                decoded[:, hidden] = 0.0 if self.rng.random() < 0.8 else float(self.rng.random())
                mask[:, hidden] = 0.0
        return unit, lungs

    def inscribed(self, unit: Tensor) -> Tensor:
        """Half of the images get letters, arrows or labels, on a patch of their own or not."""
        for decoded in unit:
            while self.rng.random() < 0.5:
                image = Image.fromarray(decoded[0].clamp(0, 1).mul(255).byte().numpy())
                draw, text = ImageDraw.Draw(image), str(self.rng.choice(WRITING))
                x, y = self.rng.uniform(0, 0.85, 2) * SIZE
                size, ink = float(self.rng.uniform(6, 16)), int(self.rng.choice([255, 230, 0]))
                if self.rng.random() < 0.3:
                    draw.rectangle(draw.textbbox((x, y), text, font_size=size), fill=255 - ink)
                draw.text((x, y), text, fill=ink, font_size=size)
                decoded[0] = torch.from_numpy(np.asarray(image).copy()).float().div_(255)
        return unit


def clipped(unit: Tensor) -> Tensor:
    """Unit images (N, 1, h, w) between their percentiles, as `segmenter_input` has them."""
    wanted = torch.tensor(CLIP_PERCENTILES) / 100
    low, high = torch.quantile(unit.flatten(1), wanted, dim=1)[:, :, None, None, None]
    return ((unit - low) / (high - low).clamp(min=1e-3)).clamp(0, 1)
