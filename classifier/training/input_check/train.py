"""Training of the input check, then its decision limits, fitted on validation images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from classifier.networks.input_check import CUT_OFF, FRONTAL, KINDS, LATERAL, OTHER, SIZE, TURNED, InputCheck
from classifier.training.input_check.data import CLOSE_UP, SIDE, Item, Views, draw_shares
from classifier.training.loop import Loop, Plan, Task
from classifier.training.run_log import RunLog

SHARES = {FRONTAL: 0.42, LATERAL: 0.1, CUT_OFF: 0.12, TURNED: 0.08, CLOSE_UP: 0.06, OTHER: 0.22}
SYNTHETIC = 0.4  # of the OOD negatives drawn, the share of synthetic ones
BATCH, RATE, EMA, SMOOTHING = 96, 2e-3, 0.995, 0.02
SETTLING = 20  # batches on which the norms of the averaged network are measured
STOPPED_BY_KIND, STOPPED_BY_DISTANCE = 0.005, 0.003  # of any source's frontal validation images


@dataclass(frozen=True)
class Material:
    """Images to learn from: items, `images` uint8 (N, SIDE, SIDE) and lung masks (None: unknown)."""

    items: Sequence[Item]
    images: np.ndarray
    lungs: Sequence[np.ndarray | None]

    def where(self, wanted: Callable[[Item], bool]) -> Material:
        chosen = [index for index, item in enumerate(self.items) if wanted(item)]
        return Material([self.items[i] for i in chosen], self.images[chosen], [self.lungs[i] for i in chosen])

    def unit(self) -> Tensor:
        """Images in 0..1 (N, 1, SIZE, SIZE) as in inference, up to the rounding of the stored ones."""
        whole = torch.from_numpy(self.images).float().div_(255)[:, None]
        return functional.interpolate(whole, size=(SIZE, SIZE), mode="bilinear", antialias=True)


def train_input_check(
    material: Material,
    synthetic: np.ndarray,
    *,
    steps: int,
    batch: int = BATCH,
    seed: int = 0,
    quiet: bool | None = None,
) -> InputCheck:
    """An input check trained on the `train` items and `synthetic` OOD negatives, fitted on the `val` items.

    Raises ValueError without frontal images in both parts.
    """
    torch.manual_seed(seed)
    learning, checking = (material.where(lambda item, part=p: item.part == part) for p in ("train", "val"))
    if not all(any(item.kind == FRONTAL for item in part.items) for part in (learning, checking)):
        raise ValueError(
            "the input check needs frontal chest X-rays in both the train and the validation part: "
            "add images of more patients"
        )
    plan = Plan(
        steps=steps, epoch_steps=steps, batch=batch, lr=RATE, title="input check", ema=EMA, note_steps=50
    )
    average = Loop(Kinds(learning, synthetic, seed), plan, log=RunLog(silent=bool(quiet))).run().average
    fit_numbers(average, learning, checking)
    return average


class Kinds(Task):
    """The kind of each image; kinds are drawn by SHARES, with frontal sources and OOD groups evened out."""

    def __init__(self, learning: Material, synthetic: np.ndarray, seed: int) -> None:
        self.network = InputCheck()
        self.rng = np.random.default_rng([0xBA7C, seed])
        self.views = Views(seed)
        self.learning, self.synthetic = learning, synthetic
        self.pools = {kind: self._pool(kind) for kind in (FRONTAL, LATERAL, OTHER)}
        self.shares = {kind: s for kind, s in SHARES.items() if kind != LATERAL or self.pools[LATERAL]}

    def _pool(self, kind: str) -> tuple[np.ndarray, np.ndarray] | None:
        index = [i for i, item in enumerate(self.learning.items) if item.kind == kind]
        if not index:
            return None
        keys = [self.learning.items[i].group + "|" + self.learning.items[i].source for i in index]
        return np.array(index), draw_shares(keys, 0.5)

    def batch(self, loop: Loop) -> tuple[Tensor, Tensor]:
        return self.draw(loop.plan.batch)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        chances = np.array(list(self.shares.values()))
        kinds = self.rng.choice(list(self.shares), count, p=chances / chances.sum())
        images, lungs = np.zeros((count, SIDE, SIDE), np.uint8), []
        for place, kind in enumerate(kinds):
            images[place], lung = self._one(str(kind))
            lungs.append(lung)
        unit = self.views(images, kinds, lungs).contiguous(memory_format=torch.channels_last)
        return unit, torch.tensor([KINDS.index(OTHER if kind == CLOSE_UP else kind) for kind in kinds])

    def _one(self, kind: str) -> tuple[np.ndarray, np.ndarray | None]:
        pool = self.pools[FRONTAL if kind in (CUT_OFF, TURNED, CLOSE_UP) else kind]
        if kind == OTHER and (pool is None or self.rng.random() < SYNTHETIC):
            return self.synthetic[self.rng.integers(len(self.synthetic))], None
        index = self.rng.choice(pool[0], p=pool[1])
        return self.learning.images[index], self.learning.lungs[index]

    def loss(self, outputs: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
        return functional.cross_entropy(outputs, batch[1], label_smoothing=SMOOTHING)

    def settling_inputs(self, loop: Loop) -> Iterator[Tensor]:
        return (self.batch(loop)[0] for _ in range(min(loop.plan.steps, SETTLING)))


def fit_numbers(network: InputCheck, learning: Material, checking: Material) -> None:
    """Fit the Gaussian on training images, and both limits so that few images of any source are stopped."""
    from sklearn.covariance import ledoit_wolf

    frontal = learning.where(lambda item: item.kind == FRONTAL)
    with torch.inference_mode():
        features = (
            torch.cat([network.features(batch) for batch in frontal.unit().split(256)]).double().numpy()
        )
    weights = draw_shares([item.source for item in frontal.items], 0.5)
    drawn = np.random.default_rng(0).choice(len(features), 4000, p=weights)
    covariance, _ = ledoit_wolf(features[drawn])
    values, vectors = np.linalg.eigh(covariance)
    network.centre.copy_(torch.from_numpy(features[drawn].mean(axis=0)))
    network.whitening.copy_(torch.from_numpy(vectors / np.sqrt(np.maximum(values, 1e-8))))
    network.farthest.fill_(1.0)
    checked = checking.where(lambda item: item.kind == FRONTAL)
    probabilities, distances = measured(network, checked.unit())
    sources = np.array([item.source for item in checked.items])
    by_source = [sources == source for source in np.unique(sources)]
    frontal_share = probabilities[:, KINDS.index(FRONTAL)]
    lowest = min(np.quantile(frontal_share[chosen], STOPPED_BY_KIND) for chosen in by_source)
    network.frontal_from.fill_(float(np.clip(lowest, 0.2, 0.9)))
    network.farthest.fill_(
        max(np.quantile(distances[chosen], 1 - STOPPED_BY_DISTANCE) for chosen in by_source)
    )


def measured(network: InputCheck, unit: Tensor) -> tuple[np.ndarray, np.ndarray]:
    probabilities, distances = zip(*map(network.measure, unit.split(256)), strict=True)
    return torch.cat(probabilities).numpy(), torch.cat(distances).numpy()
