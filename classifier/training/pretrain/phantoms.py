"""Initial weights from phantoms: their opacities have known places, so every cell of the map has a target.

A label does not locate the opacity; with its place a small network learns within minutes.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from classifier.contract import ModelSpec
from classifier.data.augment import Augment
from classifier.images.read import read_image
from classifier.networks.preprocess import normalise, to_unit_square
from classifier.networks.registry import head_of, network_for
from classifier.training.loop import Loop, Plan, Task
from classifier.training.optim import zero_init_residuals

CELL = 32  # pixels of the input per cell of the map
MARGIN = 0.7  # cells around an opacity's edge without a target


def load(manifest: Path, spec: ModelSpec) -> tuple[Tensor, Tensor]:
    """Images (N, 1, size, size) in 0..1 and cells (N, size/32, size/32): 1 opacity, 0 clear, -1 no target.

    Rows of the validation and test parts are left out.
    """
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("split") not in {"val", "test"}]
    images, cells = [], []
    for row in tqdm(rows, desc="reading phantoms", unit="img", disable=None):
        image = read_image(manifest.parent / row["image"])
        images.append(to_unit_square(image.working, spec).half())
        circles = [tuple(map(float, text.split())) for text in row["centres"].split("|") if text]
        cells.append(cells_of(circles, (image.rows, image.columns), spec.size // CELL))
    return torch.stack(images), torch.from_numpy(np.stack(cells))


def cells_of(circles: list[tuple[float, float, float]], shape: tuple[int, int], side: int) -> np.ndarray:
    """The targets, as in `load`, of a `side` x `side` map over an image of `shape`."""
    y, x = (np.indices((side, side)) + 0.5) * (np.array(shape)[:, None, None] / side)
    cells = np.zeros((side, side), np.int64)
    for cx, cy, radius in circles:
        distance = np.hypot(x - cx, y - cy)
        within = (distance <= radius) | (distance == distance.min())
        around = distance < radius + MARGIN * max(shape) / side
        cells[around & (cells == 0)] = -1
        cells[within] = 1
    return cells


class OpacityCells(Task):
    """The finding of each cell of the feature map."""

    def __init__(self, images: Tensor, cells: Tensor, spec: ModelSpec, network: nn.Module, seed: int) -> None:
        self.images, self.cells, self.spec, self.network = images, cells, spec, network
        self.head = head_of(network, spec)
        self.augment, self.rng = Augment(seed=seed), np.random.default_rng(seed)
        rarity = (cells == 0).sum() / (cells == 1).sum().clamp(min=1)
        self.weight = torch.tensor([1.0, float(rarity) ** 0.5])

    def batch(self, loop: Loop) -> tuple[Tensor, Tensor]:
        chosen = torch.from_numpy(self.rng.choice(len(self.images), loop.plan.batch, replace=False))
        unit, target = self.images[chosen].float(), self.cells[chosen]
        if self.rng.random() < 0.5:
            unit, target = unit.flip(3), target.flip(2)
        unit = self.augment.noise(self.augment.exposure(unit)).clamp(0, 1)
        return normalise(unit, self.spec).contiguous(memory_format=torch.channels_last), target

    def forward(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        maps = model.forward_features(batch[0])
        return torch.einsum("kc,nchw->nkhw", self.head.weight, maps) + self.head.bias[:, None, None]

    def loss(self, outputs: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
        return functional.cross_entropy(outputs, batch[1], weight=self.weight, ignore_index=-1)


def pretrain(
    images: Tensor, cells: Tensor, spec: ModelSpec, *, epochs: int, batch: int, lr: float, seed: int
) -> nn.Module:
    """Train on every cell's own finding; returns the network."""
    torch.manual_seed(seed)
    network = network_for(spec)
    zero_init_residuals(network)
    steps = epochs * (len(images) // batch)
    plan = Plan(steps=steps, epoch_steps=steps, batch=batch, lr=lr, title="pretraining", note_steps=20)
    Loop(OpacityCells(images, cells, spec, network, seed), plan).run()
    return network


def save(network: nn.Module, path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
