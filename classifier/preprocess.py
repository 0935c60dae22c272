"""Working image to network input, driven only by ModelSpec; training and serving share it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from classifier.contract import ModelSpec

Affine = tuple[float, float, float, float, float, float]


def to_input(working: np.ndarray, spec: ModelSpec) -> Tensor:
    """Working image (H, W) uint16 to a float32 tensor (1, size, size), normalised as the spec says."""
    return normalise(to_unit_square(working, spec), spec)


def to_unit_square(working: np.ndarray, spec: ModelSpec) -> Tensor:
    """Working image (H, W) uint16 to float32 (1, size, size) in 0..1: the last step before augmentation."""
    if spec.resize != "squash":
        raise ValueError(f"unknown resize {spec.resize!r}")
    return unit_square(working, spec.size, spec.clip_percentiles)


def unit_square(working: np.ndarray, size: int, clip_percentiles: tuple[float, float]) -> Tensor:
    """Working image (H, W) uint16 to float32 (1, size, size): two of its percentiles become 0 and 1."""
    grey = working.astype(np.float32)
    low, high = (np.float32(value) for value in percentiles(working, clip_percentiles))
    grey = np.clip((grey - low) / max(high - low, 1.0), 0.0, 1.0)
    square = functional.interpolate(
        torch.from_numpy(grey)[None, None], size=(size, size), mode="bilinear", antialias=True
    )
    return square[0].clamp(0.0, 1.0)


def percentiles(image: np.ndarray, wanted: Sequence[float]) -> list[float]:
    """numpy.percentile of a uint16 image, exactly, from its histogram: about six times quicker."""
    up_to = np.cumsum(np.bincount(image.ravel()))
    values = []
    for percent in wanted:
        rank = percent / 100 * (image.size - 1)
        low, high = np.searchsorted(up_to, [np.floor(rank), np.ceil(rank)], side="right")
        values.append(float(low + (rank - np.floor(rank)) * (high - low)))
    return values


def normalise(unit: Tensor, spec: ModelSpec) -> Tensor:
    return (unit - spec.mean) / spec.std


def grid_to_original(grid: tuple[int, int], original: tuple[int, int]) -> Affine:
    """Affine of `contract.Cam` for a map of `grid` (rows, columns) over a squashed `original` of as many."""
    sx, sy = original[1] / grid[1], original[0] / grid[0]
    return (sx, 0.0, 0.5 * sx - 0.5, 0.0, sy, 0.5 * sy - 0.5)
