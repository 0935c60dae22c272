"""What a network can learn before any label: that two views are one image, or which formula drew it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from classifier.contract import ModelSpec
from classifier.data.augment import Augment
from classifier.data.image_cache import Images
from classifier.networks.preprocess import normalise
from classifier.training.pretrain.fractals import render, system, varied

HIDDEN, EMBEDDED = 512, 2048
KEPT = 4096  # images by formula that are drawn once and shown again


class Task(nn.Module):
    """`squares` (N, size, size), uint8; a subclass gives `loss(network, rng, batch)` and may hold layers."""

    def __init__(self, spec: ModelSpec, squares: np.ndarray, device: torch.device) -> None:
        super().__init__()
        self.spec, self.count, self.device = spec, len(squares), device
        self.unit = Images(squares, np.arange(len(squares)), device)

    def drawn(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        return rng.choice(self.count, batch, replace=self.count < batch)

    def maps(self, network: nn.Module, unit: Tensor) -> Tensor:
        inputs = normalise(unit, self.spec).contiguous(memory_format=torch.channels_last)
        return network.forward_features(inputs)


class Siamese(Task):
    """SimSiam (Chen and He 2021): each of two changed views of an image foretells the other's features."""

    def __init__(self, spec: ModelSpec, squares: np.ndarray, device: torch.device, *, features: int) -> None:
        super().__init__(spec, squares, device)
        embedded, hidden = min(EMBEDDED, features), min(HIDDEN, features)
        self.project = nn.Sequential(
            *(nn.Linear(features, embedded, bias=False), nn.BatchNorm1d(embedded), nn.ReLU(inplace=True)),
            *(nn.Linear(embedded, embedded, bias=False), nn.BatchNorm1d(embedded, affine=False)),
        )
        self.predict = nn.Sequential(
            *(nn.Linear(embedded, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True)),
            nn.Linear(hidden, embedded),
        )

    def loss(self, network: nn.Module, rng: np.random.Generator, batch: int) -> Tensor:
        """From 1, views that are unlike, down to -1, the same."""
        unit = self.unit(self.drawn(rng, batch))
        augment = Augment(seed=int(rng.integers(2**31)), device=self.device)
        one, other = (self.project(self.maps(network, augment(unit)).mean(dim=(2, 3))) for _ in range(2))
        likeness = functional.cosine_similarity(self.predict(one), other.detach())
        return -(likeness + functional.cosine_similarity(self.predict(other), one.detach())).mean() / 2


class Fractals(Task):
    """Which of the spec's findings, each a formula, drew an image (Kataoka et al. 2020)."""

    def __init__(self, spec: ModelSpec, device: torch.device, *, seed: int) -> None:
        categories = len(spec.findings)
        self_made = np.empty((KEPT, spec.size, spec.size), np.uint8)
        rng = np.random.default_rng(seed)
        for at in tqdm(range(KEPT), desc="drawing fractals", unit="img", disable=None):
            grey = render(varied(system(at % categories, seed=seed), rng), spec.size, rng)
            self_made[at] = np.rint(grey * 255)
        super().__init__(spec, self_made, device)

    def loss(self, network: nn.Module, rng: np.random.Generator, batch: int) -> Tensor:
        chosen = self.drawn(rng, batch)
        unit = torch.rot90(self.unit(chosen), int(rng.integers(4)), (2, 3))
        unit = Augment(seed=int(rng.integers(2**31)), flip=0.5, device=self.device)(unit)
        category = torch.from_numpy(chosen % len(self.spec.findings)).to(self.device)
        return functional.cross_entropy(network.forward_head(self.maps(network, unit)), category)
