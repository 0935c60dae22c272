"""How well the lung segmenter does: Dice against drawn masks, and emptiness where there are no lungs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from classifier.evaluation.bootstrap import intervals
from classifier.networks.lung_segmenter import LUNGS, MEAN, SIZE, STD, lungs_of
from classifier.training.lungs.data import Images, read_mask, resized, split_lungs

RESAMPLINGS = 2000


@torch.inference_mode()
def masks_of(segmenter: nn.Module, images: np.ndarray, *, view: str = "plain") -> np.ndarray:
    """Probabilities (N, 2, SIZE, SIZE) of images uint8 (N, S, S); view "mirrored" is turned back again."""
    found = []
    for start in range(0, len(images), 16):
        unit = torch.from_numpy(images[start : start + 16]).float().div(255)[:, None]
        unit = functional.interpolate(unit, size=(SIZE, SIZE), mode="bilinear", antialias=True)
        if view == "mirrored":
            unit = unit.flip(3) ** 0.8
        logits = segmenter(((unit - MEAN) / STD).contiguous(memory_format=torch.channels_last))
        found.append(logits.flip((1, 3)) if view == "mirrored" else logits)
    return torch.cat(found).sigmoid().numpy() if found else np.zeros((0, len(LUNGS), SIZE, SIZE), np.float32)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two bool planes; 1 where both are empty."""
    both = one.sum() + other.sum()
    return float(2 * (one & other).sum() / both) if both else 1.0


def dice_of(segmenter: nn.Module, images: Images, masks: Path, *, seed: int = 0) -> dict[str, Any]:
    """Mean Dice of both lungs and of each, at the drawn masks' own size, with 95 % intervals by patient."""
    found = {name: [] for name in ("both", *LUNGS)}
    for probabilities, row in zip(masks_of(segmenter, images.images), images.rows, strict=True):
        drawn_lungs = split_lungs(read_mask(row, masks))
        lungs = lungs_of(resized(probabilities, drawn_lungs.shape[1:]))
        found["both"].append(dice(lungs.any(axis=0), drawn_lungs.any(axis=0)))
        for name, one, other in zip(LUNGS, lungs, drawn_lungs, strict=True):
            found[name].append(dice(one, other))
    patients = [row.patient for row in images.rows]
    return {name: _with_interval(np.array(values), patients, seed) for name, values in found.items()}


def _with_interval(values: np.ndarray, patients: Sequence[str], seed: int) -> dict[str, Any]:
    if not len(values):
        return {"mean": None, "n": 0}

    def mean(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"mean": weights @ values / weights.sum(axis=1)}

    drawn = intervals(mean, patients, draws=RESAMPLINGS, seed=seed)["mean"]
    numbers = {"mean": drawn["value"], "low": drawn["low"], "high": drawn["high"], "worst": values.min()}
    return {name: round(float(value), 4) for name, value in numbers.items()} | {"n": len(values)}


def emptiness(segmenter: nn.Module, images: Images) -> dict[str, Any]:
    """Per source of images without lungs: how many there are, and in how many no lung is found."""
    found: dict[str, list[bool]] = {}
    for mask, row in zip(masks_of(segmenter, images.images), images.rows, strict=True):
        found.setdefault(row.source, []).append(not lungs_of(mask).any())
    return {source: {"n": len(values), "empty": sum(values)} for source, values in sorted(found.items())}
