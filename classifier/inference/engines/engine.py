"""The interface of an engine, and the network that every engine runs."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from classifier.contract import ModelSpec
from classifier.networks.cam import cam_of
from classifier.networks.registry import probabilities_of

PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


class Outputs(NamedTuple):
    """Probabilities (N, findings), grids (N, findings, h, w) and pooled features (N, channels), float32."""

    probabilities: np.ndarray
    grids: np.ndarray
    pooled: np.ndarray


class Engine(Protocol):
    """Runs one network; raises RuntimeError where a batch cannot be computed."""

    @property
    def name(self) -> str: ...

    @property
    def precision(self) -> str: ...

    def __call__(self, batch: Tensor) -> Outputs:
        """Batch (N, 1, size, size) float32 on the CPU to its outputs."""
        ...


class ServingNetwork(nn.Module):
    """A network with everything that is read from it in one pass; the head and what follows in float32."""

    OUTPUTS: tuple[str, ...] = Outputs._fields

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.network: Any = network
        self.spec = spec

    def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
        features = self.network.forward_features(batch).float()
        probabilities = probabilities_of(self.network.forward_head(features), self.spec)
        return probabilities, cam_of(features, self.network, self.spec), features.mean(dim=(2, 3))


class Probabilities(ServingNetwork):
    """The probabilities alone: what the other outputs of a `ServingNetwork` cost is measured by it."""

    OUTPUTS = ("probabilities",)

    def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
        features = self.network.forward_features(batch).float()
        return (probabilities_of(self.network.forward_head(features), self.spec),)


class PyTorch:
    """PyTorch as it is, in channels-last order; convolutions in `dtype`, on the device of the network."""

    name = "pytorch"

    def __init__(
        self, network: nn.Module, spec: ModelSpec, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.network = network if dtype is torch.float32 else with_convolutions_as(network, dtype)
        self.serving, self.device, self.dtype = ServingNetwork(self.network, spec), device, dtype

    @property
    def precision(self) -> str:
        return PRECISIONS[self.dtype]

    def __call__(self, batch: Tensor) -> Outputs:
        return Outputs(*self.run(batch))

    @torch.inference_mode()
    def run(self, batch: Tensor) -> list[np.ndarray]:
        """The outputs of the serving network, whichever it has."""
        batch = batch.to(self.device, self.dtype, memory_format=torch.channels_last)
        with deterministic(self.device):
            return [output.cpu().numpy() for output in self.serving(batch)]


def with_convolutions_as(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy with convolutions in `dtype`; norms and the head stay float32."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(dtype)
    return network


def reduced_dtype(device: torch.device) -> torch.dtype | None:
    """The reduced type that the device supports in hardware; None if fp32 is as fast."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16"):
        return torch.bfloat16  # AVX-512's bfloat16 alone is slower than fp32
    return None


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Without TF32 and timing-dependent algorithms, so that runs give the same numbers."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
