"""The input check, an out-of-distribution detector: whole frontal chest X-rays pass, other images do not.

A small network with a Gaussian over its features (Lee et al. 2018, arXiv:1807.03888). Its state holds all
of its limits and no sample; the artifact carries it, unchanged by retraining of the classifier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from classifier.networks.preprocess import unit_square
from classifier.networks.registry import check_names_and_shapes
from classifier.networks.resnet_v2 import conv1x1
from classifier.networks.torchvision_ops import torchvision
from classifier.reasons import AbstentionReason

BasicBlock = torchvision.models.resnet.BasicBlock

SIZE = 112
CLIP_PERCENTILES = (0.5, 99.5)
STEM, WIDTHS = 16, (32, 64, 96, 128)
FRONTAL, LATERAL, CUT_OFF, TURNED, OTHER = KINDS = ("frontal", "lateral", "cut_off", "turned", "other")
REASONS: Mapping[str, AbstentionReason] = {
    LATERAL: AbstentionReason.LATERAL_VIEW,
    CUT_OFF: AbstentionReason.LUNGS_CUT_OFF,
    TURNED: AbstentionReason.OUT_OF_DISTRIBUTION,
    OTHER: AbstentionReason.NOT_A_CHEST_XRAY,
}


class InputCheck(nn.Module):
    """A residual network of four basic blocks, and the numbers that decide which images pass."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (STEM, *WIDTHS[:-1])
        self.stem = nn.Sequential(
            nn.Conv2d(1, STEM, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(STEM),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(*(_block(i, o) for i, o in zip(inputs, WIDTHS, strict=True)))
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(WIDTHS[-1], len(KINDS))
        self.register_buffer("frontal_from", torch.tensor(0.5))
        self.register_buffer("centre", torch.zeros(WIDTHS[-1]))
        self.register_buffer("whitening", torch.eye(WIDTHS[-1]))
        self.register_buffer("farthest", torch.tensor(1.0))

    def features(self, unit: Tensor) -> Tensor:
        """Unit squares (N, 1, SIZE, SIZE) in 0..1 to pooled features (N, 128)."""
        return self.blocks(self.stem((unit - 0.5) / 0.25)).mean(dim=(2, 3))

    def forward(self, unit: Tensor) -> Tensor:
        """Logits (N, kinds)."""
        return self.head(self.dropout(self.features(unit)))

    @torch.inference_mode()
    def measure(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (N, kinds) and distances (N,), for a network in evaluation mode.

        Distances are Mahalanobis' from the features of frontal chest X-rays, over the largest that passes.
        """
        features = self.features(unit)
        distance = ((features - self.centre) @ self.whitening).norm(dim=1) / self.farthest
        return self.head(features).softmax(dim=1), distance

    def judge(self, unit: Tensor) -> list[AbstentionReason | None]:
        """Of each image the reason to stop it; None where it may pass."""
        measures = zip(*(found.tolist() for found in self.measure(unit)), strict=True)
        return [reason_of(row, distance, float(self.frontal_from)) for row, distance in measures]


def reason_of(
    probabilities: Sequence[float], distance: float, frontal_from: float
) -> AbstentionReason | None:
    """Stopped as the most probable other kind if not frontal, as out of distribution if too distant."""
    kinds = dict(zip(KINDS, probabilities, strict=True))
    if not kinds[FRONTAL] >= frontal_from:
        return REASONS[max(REASONS, key=kinds.__getitem__)]
    return None if distance <= 1 else AbstentionReason.OUT_OF_DISTRIBUTION


def input_check_image(working: np.ndarray) -> Tensor:
    """Working image (H, W) uint16 to the network's image in 0..1 (1, SIZE, SIZE)."""
    return unit_square(working, SIZE, CLIP_PERCENTILES)


def load_input_check(state: Mapping[str, Tensor]) -> InputCheck:
    """The input check of an artifact's tensors; raises ArtifactError (key_mismatch)."""
    network = InputCheck()
    check_names_and_shapes(network.state_dict(), state)
    network.load_state_dict(dict(state))
    return network.eval()


def _block(inputs: int, outputs: int) -> nn.Module:
    shortcut = nn.Sequential(conv1x1(inputs, outputs, 2), nn.BatchNorm2d(outputs))
    return BasicBlock(inputs, outputs, stride=2, downsample=shortcut)
