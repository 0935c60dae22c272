"""From a ModelSpec to its network, and from the network's logits to calibrated probabilities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from classifier.contract import ModelSpec
from classifier.networks.resnet_v1 import ResNetV1
from classifier.networks.resnet_v2 import ResNetV2

MAX_BLOCKS, MAX_WIDTH = 64, 256


def network_for(spec: ModelSpec, *, dropout: float = 0.0) -> nn.Module:
    """A freshly initialised network of the spec's architecture; raises ValueError for one that is unknown."""
    if spec.head != "pool_linear":
        raise ValueError(f"unknown head {spec.head!r}")
    if (
        len(spec.layers) != 4
        or not all(1 <= n <= MAX_BLOCKS for n in spec.layers)
        or not 1 <= spec.width <= MAX_WIDTH
    ):
        raise ValueError(f"unreasonable network: layers {spec.layers}, width {spec.width}")
    if spec.arch == "resnetv2":
        return ResNetV2(len(spec.findings), layers=spec.layers, width=spec.width, dropout=dropout)
    if spec.arch == "resnet50" and spec.width == 64:
        return ResNetV1(len(spec.findings), layers=spec.layers, dropout=dropout)
    raise ValueError(f"unknown architecture {spec.arch!r} at width {spec.width}")


def probabilities_of(logits: Tensor, spec: ModelSpec) -> Tensor:
    """Logits (N, findings) to probabilities in float32, at the spec's temperature and with its biases."""
    scaled = logits.float() / (spec.temperature or 1.0)
    if spec.bias:
        scaled = scaled + scaled.new_tensor([spec.bias.get(finding, 0.0) for finding in spec.findings])
    return torch.softmax(scaled, dim=1) if spec.activation == "softmax" else torch.sigmoid(scaled)
