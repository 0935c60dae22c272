"""The device that computes."""

from __future__ import annotations

import torch


def device_for(name: str) -> str:
    """`auto` is CUDA if available, otherwise the CPU. Raises ValueError for a device that does not exist."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"Device {name!r} is not available: {error}") from error
    return name
