"""What training does at each step, in functions: optimiser, schedules, freezing, averaging."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

# Until this progress, at least this share of the size. What only the end, at its low rate, shows in full size
# stays strange to the network: with 12 % it did better on images of three quarters of its own size.
GROWTH = ((0.25, 0.5), (0.5, 0.75))


def optimiser_for(
    network: nn.Module, *, lr: float, weight_decay: float, name: str = "adamw"
) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov's momentum; norms and biases are not decayed."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, lr=lr, fused=True)


def freeze(network: nn.Module, *, frozen: bool) -> None:
    """Let only the last layer learn, or everything; frozen norms keep their statistics too."""
    for name, module in network.named_children():
        if name != "fc":
            module.requires_grad_(not frozen)
            module.train(not frozen)


def quiet_residuals(network: nn.Module) -> None:
    """Start every residual branch at zero, so that a deep network learns at once (Goyal et al. 2017)."""
    for name, module in network.named_modules():
        if name.endswith("conv3"):
            nn.init.zeros_(module.weight)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights and statistics towards the network's."""
    means, news = (
        [*module.parameters(), *(buffer for buffer in module.buffers() if buffer.is_floating_point())]
        for module in (average, network)
    )
    get_ema_multi_avg_fn(decay)(means, news, None)
    for mean, now in zip(average.buffers(), network.buffers(), strict=True):
        if not mean.is_floating_point():
            mean.copy_(now)


def rate_at(progress: float, warmup: float) -> float:
    """Share of the peak learning rate: a linear rise, then a half cosine down to a hundredth."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    falling = min(1.0, (progress - warmup) / (1 - warmup))
    return 0.01 + 0.99 * (1 + math.cos(math.pi * falling)) / 2


def size_at(progress: float, full: int) -> int:
    """Side of the training images, a multiple of 32: small ones first, since they teach quicker."""
    share = next((share for until, share in GROWTH if progress < until), 1.0)
    return min(full, max(64, math.ceil(full * share / 32) * 32))
