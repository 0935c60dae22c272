"""Weights for `classifier train --pretrained` that know where opacities are: every cell of the map is told.

A whole image says only *somewhere*; phantoms know the place, which teaches a small network within minutes.
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
from classifier.networks.registry import network_for
from classifier.training.optim import quiet_residuals, rate_at

CELL = 32  # pixels of the input that one cell of the map stands for
UNSURE = 0.7  # cells around an opacity's edge that are not asked about


def load(manifest: Path, spec: ModelSpec) -> tuple[Tensor, Tensor]:
    """Unit squares (N, 1, size, size) and cells (N, size/32, size/32): 1 opacity, 0 clear, -1 not asked.

    Rows kept for validation and test are left out.
    """
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("split") not in {"val", "test"}]
    squares, cells = [], []
    for row in tqdm(rows, desc="reading phantoms", unit="img", disable=None):
        image = read_image(manifest.parent / row["image"])
        squares.append(to_unit_square(image.working, spec).half())
        circles = [tuple(map(float, text.split())) for text in row["centres"].split("|") if text]
        cells.append(cells_of(circles, (image.rows, image.columns), spec.size // CELL))
    return torch.stack(squares), torch.from_numpy(np.stack(cells))


def cells_of(circles: list[tuple[float, float, float]], shape: tuple[int, int], side: int) -> np.ndarray:
    """What each cell of a `side` x `side` map over an image of `shape` holds, as `load` says."""
    y, x = (np.indices((side, side)) + 0.5) * (np.array(shape)[:, None, None] / side)
    cells = np.zeros((side, side), np.int64)
    for cx, cy, radius in circles:
        distance = np.hypot(x - cx, y - cy)
        within = (distance <= radius) | (distance == distance.min())
        around = distance < radius + UNSURE * max(shape) / side
        cells[around & (cells == 0)] = -1
        cells[within] = 1
    return cells


def pretrain(
    squares: Tensor, cells: Tensor, spec: ModelSpec, *, epochs: int, batch: int, lr: float, seed: int
) -> nn.Module:
    """Train on every cell's own finding; returns the network."""
    torch.manual_seed(seed)
    network = network_for(spec).train().to(memory_format=torch.channels_last)
    quiet_residuals(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0.02)
    augment, rng = Augment(seed=seed), np.random.default_rng(seed)
    steps = epochs * (len(squares) // batch)
    rarity = (cells == 0).sum() / (cells == 1).sum().clamp(min=1)
    weight = torch.tensor([1.0, float(rarity) ** 0.5])
    bar = tqdm(range(steps), desc="pretraining", disable=None)
    for step in bar:
        chosen = torch.from_numpy(rng.choice(len(squares), batch, replace=False))
        unit, target = squares[chosen].float(), cells[chosen]
        if rng.random() < 0.5:
            unit, target = unit.flip(3), target.flip(2)
        unit = augment.noise(augment.exposure(unit)).clamp(0, 1)
        features = network.forward_features(
            normalise(unit, spec).contiguous(memory_format=torch.channels_last)
        )
        logits = torch.einsum("kc,nchw->nkhw", network.fc.weight, features) + network.fc.bias[:, None, None]
        loss = functional.cross_entropy(logits, target, weight=weight, ignore_index=-1)
        for group in optimiser.param_groups:
            group["lr"] = lr * rate_at(step / steps, 0.05)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        if bar.disable and step % 20 == 0:
            print(f"step {step} of {steps}, loss {loss.item():.3f}", flush=True)
    return network


def save(network: nn.Module, path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
