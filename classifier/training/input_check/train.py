"""Training of a gate: one loop, then the numbers by which it decides, fitted on validation images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import update_bn
from tqdm import tqdm

from classifier.networks.input_check import (
    CUT_OFF,
    FRONTAL,
    KINDS,
    LATERAL,
    SIZE,
    STRANGER,
    TURNED,
    InputCheck,
)
from classifier.training.input_check.data import CLOSE_UP, SIDE, Item, Views, draw_shares
from classifier.training.optim import follow, optimiser_for, rate_at

SHARES = {FRONTAL: 0.42, LATERAL: 0.1, CUT_OFF: 0.12, TURNED: 0.08, CLOSE_UP: 0.06, STRANGER: 0.22}
MADE = 0.4  # of the strangers drawn, those made by code
BATCH, RATE, DECAY, SMOOTHING = 96, 2e-3, 0.02, 0.02
SETTLING = 20  # batches by which the averaged network's norms are measured anew
STOPPED_BY_KIND, STOPPED_BY_DISTANCE = 0.005, 0.003  # of any source's frontal validation images


@dataclass(frozen=True)
class Material:
    """Images to learn from: items with their squares (N, SIDE, SIDE) and lung masks (None: unknown)."""

    items: Sequence[Item]
    squares: np.ndarray
    lungs: Sequence[np.ndarray | None]

    def where(self, wanted: Callable[[Item], bool]) -> Material:
        chosen = [index for index, item in enumerate(self.items) if wanted(item)]
        return Material(
            [self.items[i] for i in chosen], self.squares[chosen], [self.lungs[i] for i in chosen]
        )

    def unit(self) -> Tensor:
        """Unit squares (N, 1, SIZE, SIZE) as at serving, up to the rounding of the stored ones."""
        whole = torch.from_numpy(self.squares).float().div_(255)[:, None]
        return functional.interpolate(whole, size=(SIZE, SIZE), mode="bilinear", antialias=True)


def train_input_check(
    material: Material,
    made: np.ndarray,
    *,
    steps: int,
    batch: int = BATCH,
    seed: int = 0,
    quiet: bool | None = None,
) -> InputCheck:
    """A gate trained on the `train` items and on strangers made by code, fitted on the `val` items.

    Raises ValueError when there is no frontal image to learn from.
    """
    torch.manual_seed(seed)
    learning, checking = (material.where(lambda item, part=p: item.part == part) for p in ("train", "val"))
    if not all(any(item.kind == FRONTAL for item in part.items) for part in (learning, checking)):
        raise ValueError("a gate needs frontal chest X-rays to learn from, and others to set its limits by")
    network = InputCheck().to(memory_format=torch.channels_last)
    average = copy.deepcopy(network).eval()
    optimiser = optimiser_for(network, lr=RATE, weight_decay=DECAY)
    batches = Batches(learning, made, seed)
    bar = tqdm(range(steps), desc="gate", unit="step", disable=quiet)
    for step in bar:
        for group in optimiser.param_groups:
            group["lr"] = RATE * rate_at(step / steps, 0.05)
        unit, targets = batches.draw(batch)
        loss = functional.cross_entropy(network(unit), targets, label_smoothing=SMOOTHING)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        follow(average, network, min(0.995, (1 + step) / (10 + step)))
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")
    update_bn((batches.draw(batch)[0] for _ in range(min(steps, SETTLING))), average)
    average.eval()
    fit_numbers(average, learning, checking)
    return average


class Batches:
    """Draws training batches: kinds by SHARES, frontal sources and stranger groups evened out."""

    def __init__(self, learning: Material, made: np.ndarray, seed: int) -> None:
        self.rng = np.random.default_rng([0xBA7C, seed])
        self.views = Views(seed)
        self.learning = learning
        self.pools = {kind: self._pool(kind) for kind in (FRONTAL, LATERAL, STRANGER)}
        self.made = made
        self.shares = {
            kind: share for kind, share in SHARES.items() if kind != LATERAL or self.pools[LATERAL]
        }

    def _pool(self, kind: str) -> tuple[np.ndarray, np.ndarray] | None:
        index = [i for i, item in enumerate(self.learning.items) if item.kind == kind]
        if not index:
            return None
        keys = [self.learning.items[i].group + "|" + self.learning.items[i].source for i in index]
        return np.array(index), draw_shares(keys, 0.5)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        chances = np.array(list(self.shares.values()))
        kinds = self.rng.choice(list(self.shares), count, p=chances / chances.sum())
        squares, lungs = np.zeros((count, SIDE, SIDE), np.uint8), []
        for place, kind in enumerate(kinds):
            squares[place], lung = self._one(str(kind))
            lungs.append(lung)
        unit = self.views(squares, kinds, lungs).contiguous(memory_format=torch.channels_last)
        return unit, torch.tensor([target_of(kind) for kind in kinds])

    def _one(self, kind: str) -> tuple[np.ndarray, np.ndarray | None]:
        pool = self.pools[FRONTAL if kind in (CUT_OFF, TURNED, CLOSE_UP) else kind]
        if kind == STRANGER and (pool is None or self.rng.random() < MADE):
            return self.made[self.rng.integers(len(self.made))], None
        index = self.rng.choice(pool[0], p=pool[1])
        return self.learning.squares[index], self.learning.lungs[index]


def target_of(kind: str) -> int:
    return KINDS.index(STRANGER if kind == CLOSE_UP else kind)


def fit_numbers(gate: InputCheck, learning: Material, checking: Material) -> None:
    """Set the Gaussian by the training images, and both limits so that few of any source's are stopped."""
    from sklearn.covariance import ledoit_wolf

    frontal = learning.where(lambda item: item.kind == FRONTAL)
    features = features_of(gate, frontal.unit())
    weights = draw_shares([item.source for item in frontal.items], 0.5)
    drawn = np.random.default_rng(0).choice(len(features), 4000, p=weights)
    covariance, _ = ledoit_wolf(features[drawn])
    values, vectors = np.linalg.eigh(covariance)
    gate.centre.copy_(torch.from_numpy(features[drawn].mean(axis=0)))
    gate.whitening.copy_(torch.from_numpy(vectors / np.sqrt(np.maximum(values, 1e-8))))
    gate.farthest.fill_(1.0)
    checked = checking.where(lambda item: item.kind == FRONTAL)
    probabilities, distances = measured(gate, checked.unit())
    sources = np.array([item.source for item in checked.items])
    by_source = [sources == source for source in np.unique(sources)]
    frontal_share = probabilities[:, KINDS.index(FRONTAL)]
    lowest = min(np.quantile(frontal_share[chosen], STOPPED_BY_KIND) for chosen in by_source)
    gate.frontal_from.fill_(float(np.clip(lowest, 0.2, 0.9)))
    gate.farthest.fill_(max(np.quantile(distances[chosen], 1 - STOPPED_BY_DISTANCE) for chosen in by_source))


def measured(gate: InputCheck, unit: Tensor) -> tuple[np.ndarray, np.ndarray]:
    parts = [gate.measure(unit[start : start + 256]) for start in range(0, len(unit), 256)]
    return torch.cat([p for p, _ in parts]).numpy(), torch.cat([d for _, d in parts]).numpy()


@torch.inference_mode()
def features_of(gate: InputCheck, unit: Tensor) -> np.ndarray:
    return (
        torch.cat([gate.features(unit[start : start + 256]) for start in range(0, len(unit), 256)])
        .double()
        .numpy()
    )
