"""The architectures, and the way from a ModelSpec to its network and from logits to probabilities.

A new network is one entry of ARCHITECTURES: any module with `forward_features` (images to the last feature
map) and `forward_head` (pooling and a linear layer), as timm's models have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from classifier.contract import ModelSpec
from classifier.errors import KEY_MISMATCH, ArtifactError
from classifier.networks.resnet_v2 import ResNetV2
from classifier.networks.torchvision_network import GreyResNet

MAX_BLOCKS, MAX_WIDTH = 64, 256


@dataclass(frozen=True)
class Architecture:
    """How to build a network, and what is known of it.

    `layers`, `width`, `size`, `mean` and `std` are the defaults of a new model; the public weights have these
    layers and this width.
    """

    build: Callable[..., nn.Module]  # (classes, layers=, dropout=), and width= where it is free
    public_weights: str  # repository on the Hugging Face hub, with model.safetensors
    layers: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    free_width: bool = False
    head: str = "fc"  # the linear layer
    cam_layer: str = "layer4"  # its output is the last feature map
    size: int = 160
    mean: float = 0.5
    std: float = 0.25


ARCHITECTURES = {
    "resnetv2": Architecture(ResNetV2, "timm/resnetv2_50.a1h_in1k", free_width=True, cam_layer="relu"),
    "resnetv2_101": Architecture(
        ResNetV2, "timm/resnetv2_101.a1h_in1k", layers=(3, 4, 23, 3), free_width=True, cam_layer="relu"
    ),
    "resnet50": Architecture(GreyResNet, "timm/resnet50.tv2_in1k"),
    "resnext50_32x4d": Architecture(
        partial(GreyResNet, groups=32, width_per_group=4), "timm/resnext50_32x4d.tv2_in1k"
    ),
}


def architecture_of(spec: ModelSpec) -> Architecture:
    """Raises ValueError for an unknown architecture or a shape that it does not have."""
    if spec.arch not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {spec.arch!r}: choose one of {', '.join(ARCHITECTURES)}")
    architecture = ARCHITECTURES[spec.arch]
    if len(spec.layers) != 4 or not all(1 <= n <= MAX_BLOCKS for n in spec.layers):
        raise ValueError(f"layers {spec.layers}: give four numbers of blocks from 1 to {MAX_BLOCKS}")
    if not 1 <= spec.width <= MAX_WIDTH:
        raise ValueError(f"width {spec.width}: give a number from 1 to {MAX_WIDTH}")
    if spec.width != architecture.width and not architecture.free_width:
        raise ValueError(f"architecture {spec.arch!r} has width {architecture.width}, not {spec.width}")
    return architecture


def network_for(spec: ModelSpec, *, dropout: float = 0.0) -> nn.Module:
    """A freshly initialised network of the spec's architecture; raises ValueError as `architecture_of`."""
    if spec.head != "pool_linear":
        raise ValueError(f"unknown head {spec.head!r}")
    architecture = architecture_of(spec)
    width = {"width": spec.width} if architecture.free_width else {}
    return architecture.build(len(spec.findings), layers=spec.layers, dropout=dropout, **width)


def check_names_and_shapes(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Raises ArtifactError (key_mismatch) unless a network's own tensors can be replaced by those given."""
    if own.keys() != given.keys():
        missing, extra = sorted(own.keys() - given.keys())[:3], sorted(given.keys() - own.keys())[:3]
        raise ArtifactError(KEY_MISMATCH, f"missing {missing}, unexpected {extra}")
    for name, tensor in own.items():
        shape = tuple(given[name].shape)
        if tensor.shape != shape or tensor.dtype != given[name].dtype:
            raise ArtifactError(KEY_MISMATCH, f"{name} is {shape}, not {tuple(tensor.shape)}")


def head_of(network: nn.Module, spec: ModelSpec) -> nn.Linear:
    return network.get_submodule(ARCHITECTURES[spec.arch].head)


def cam_layer_of(network: nn.Module, spec: ModelSpec) -> nn.Module:
    """The module whose output is that of `forward_features`: what gradient-based explainers hook."""
    return network.get_submodule(ARCHITECTURES[spec.arch].cam_layer)


def probabilities_of(logits: Tensor, spec: ModelSpec) -> Tensor:
    """Logits (N, findings) to probabilities in float32, at the spec's temperature and with its biases."""
    scaled = logits.float() / (spec.temperature or 1.0)
    if spec.bias:
        scaled = scaled + scaled.new_tensor([spec.bias.get(finding, 0.0) for finding in spec.findings])
    return torch.softmax(scaled, dim=1) if spec.activation == "softmax" else torch.sigmoid(scaled)
