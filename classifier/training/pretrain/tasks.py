"""Tasks without labels: to match two views of an image, or to recognise the formula that drew it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from classifier.contract import ModelSpec
from classifier.data.augment import Augment
from classifier.data.image_cache import CachedImages
from classifier.networks.preprocess import normalise
from classifier.training.loop import Loop, Task
from classifier.training.pretrain.fractals import render, system, varied

HIDDEN, EMBEDDED = 512, 2048
KEPT = 4096  # fractals that are drawn once and used repeatedly


class ImageTask(Task):
    """A network that learns from `images` (N, size, size), uint8; `layers` of the task learn with it."""

    def __init__(
        self, spec: ModelSpec, network: nn.Module, images: np.ndarray, device: torch.device, *, seed: int
    ) -> None:
        self.spec, self.encoder, self.device, self.seed = spec, network, device, seed
        self.identity, self.count = spec.to_json(), len(images)
        self.images = CachedImages(images, np.arange(len(images)), device)
        self.layers = self.extra_layers()
        self.network = nn.ModuleDict({"network": network, "task": self.layers})

    def extra_layers(self) -> nn.Module:
        return nn.Identity()

    def draw(self, loop: Loop) -> tuple[np.ndarray, np.random.Generator]:
        rng = np.random.default_rng((self.seed, loop.step))  # by step: a resumed run draws the same
        return rng.choice(self.count, loop.plan.batch, replace=self.count < loop.plan.batch), rng

    def inputs(self, unit: Tensor) -> Tensor:
        return normalise(unit, self.spec).contiguous(memory_format=torch.channels_last)


class Siamese(ImageTask):
    """SimSiam (Chen and He 2021): each of two augmented views of an image predicts the other's features."""

    def __init__(self, *args: Any, features: int, **options: Any) -> None:
        self.features = features
        super().__init__(*args, **options)

    def extra_layers(self) -> nn.Module:
        embedded, hidden = min(EMBEDDED, self.features), min(HIDDEN, self.features)

        def rectified(inputs: int, outputs: int) -> list[nn.Module]:
            linear = nn.Linear(inputs, outputs, bias=False)
            return [linear, nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]

        project = nn.Sequential(
            *rectified(self.features, embedded),
            nn.Linear(embedded, embedded, bias=False),
            nn.BatchNorm1d(embedded, affine=False),
        )
        predict = nn.Sequential(*rectified(embedded, hidden), nn.Linear(hidden, embedded))
        return nn.ModuleDict({"project": project, "predict": predict})

    def batch(self, loop: Loop) -> tuple[Tensor, Tensor]:
        chosen, rng = self.draw(loop)
        augment = Augment(seed=int(rng.integers(2**31)), device=self.device)
        unit = self.images(chosen)
        return self.inputs(augment(unit)), self.inputs(augment(unit))

    def forward(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        pooled = (self.encoder.forward_features(view).mean(dim=(2, 3)) for view in batch)
        one, other = map(self.layers["project"], pooled)
        return one, other, self.layers["predict"](one), self.layers["predict"](other)

    def loss(self, outputs: tuple[Tensor, ...], batch: tuple[Tensor, Tensor]) -> Tensor:
        """From 1, opposite views, down to -1, equal ones."""
        one, other, from_one, from_other = (output.float() for output in outputs)
        similarity = functional.cosine_similarity(from_one, other.detach())
        return -(similarity + functional.cosine_similarity(from_other, one.detach())).mean() / 2


class Fractals(ImageTask):
    """Which of the spec's findings, each a formula, drew an image (Kataoka et al. 2020)."""

    def __init__(self, spec: ModelSpec, network: nn.Module, device: torch.device, *, seed: int) -> None:
        categories = len(spec.findings)
        drawn = np.empty((KEPT, spec.size, spec.size), np.uint8)
        rng = np.random.default_rng(seed)
        for at in tqdm(range(KEPT), desc="drawing fractals", unit="img", disable=None):
            grey = render(varied(system(at % categories, seed=seed), rng), spec.size, rng)
            drawn[at] = np.rint(grey * 255)
        super().__init__(spec, network, drawn, device, seed=seed)

    def batch(self, loop: Loop) -> tuple[Tensor, Tensor]:
        chosen, rng = self.draw(loop)
        unit = torch.rot90(self.images(chosen), int(rng.integers(4)), (2, 3))
        unit = Augment(seed=int(rng.integers(2**31)), flip=0.5, device=self.device)(unit)
        return self.inputs(unit), torch.from_numpy(chosen % len(self.spec.findings)).to(self.device)

    def forward(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return self.encoder(batch[0])
