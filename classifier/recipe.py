"""What training does at each step, in functions: loss, optimiser, schedules, averaging."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.contract import ModelSpec

GROWTH = ((0.35, 0.4), (0.72, 0.6), (0.88, 0.8), (1.0, 1.0))  # until this progress, this share of the size


def loss_of(logits: Tensor, targets: Tensor, spec: ModelSpec, smoothing: float) -> Tensor:
    """Cross entropy over the known rows; targets (N, findings) with NaN where unknown."""
    known = ~torch.isnan(targets).any(dim=1)
    logits, targets = logits[known], targets[known]
    if spec.activation == "softmax":
        return functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    return functional.binary_cross_entropy_with_logits(logits, targets * (1 - smoothing) + smoothing / 2)


def optimiser_for(network: nn.Module, *, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW; norms and biases are not decayed."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, fused=True)


def quiet_residuals(network: nn.Module) -> None:
    """Start every residual branch at zero, so that a deep network learns at once (Goyal et al. 2017)."""
    for name, module in network.named_modules():
        if name.endswith("conv3"):
            nn.init.zeros_(module.weight)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights and statistics towards the network's."""
    for mean, now in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - decay)
        else:
            mean.copy_(now)


def rate_at(progress: float, warmup: float) -> float:
    """Share of the peak learning rate: a linear rise, then a half cosine down to a hundredth."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    falling = min(1.0, (progress - warmup) / (1 - warmup))
    return 0.01 + 0.99 * (1 + math.cos(math.pi * falling)) / 2


def size_at(progress: float, full: int) -> int:
    """Side of the training pictures, a multiple of 32: small ones first, since they teach quicker."""
    share = next((share for until, share in GROWTH if progress < until), 1.0)
    return full if share == 1.0 else max(min(64, full), round(full * share / 32) * 32)
