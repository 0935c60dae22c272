"""What is fitted on validation after training: temperature, thresholds and the scale of the maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from classifier.metrics import decisions

TEMPERATURES = np.exp(np.linspace(np.log(0.1), np.log(10), 401))
TINY = 1e-7


def fit_temperature(probabilities: np.ndarray, targets: np.ndarray, activation: str) -> float:
    """The temperature in 0.1..10 with the least log loss (Guo et al. 2017), from uncalibrated probabilities.

    `probabilities`, `targets`: (N, findings). The probabilities stand in for the logits, which they give up
    to a constant that softmax ignores. Raises ValueError without cases.
    """
    if not len(probabilities):
        raise ValueError("no cases to calibrate on")
    losses = [
        _log_loss(at_temperature(probabilities, t, activation), targets, activation) for t in TEMPERATURES
    ]
    return float(TEMPERATURES[int(np.argmin(losses))])


def at_temperature(probabilities: np.ndarray, temperature: float, activation: str) -> np.ndarray:
    """What uncalibrated probabilities (N, findings) become when their logits are divided by `temperature`."""
    sure = np.clip(probabilities.astype(np.float64), TINY, 1 - TINY)
    if activation == "sigmoid":
        return 1 / (1 + np.exp(-np.log(sure / (1 - sure)) / temperature))
    logits = np.log(sure) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _log_loss(probabilities: np.ndarray, targets: np.ndarray, activation: str) -> float:
    sure = np.clip(probabilities, TINY, 1 - TINY)
    loss = targets * np.log(sure)
    if activation == "sigmoid":
        loss = loss + (1 - targets) * np.log(1 - sure)
    return float(-loss.sum(axis=1).mean())


def fit_thresholds(
    probabilities: np.ndarray, targets: np.ndarray, findings: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Per finding the threshold with the greatest sensitivity + specificity (Youden 1950), and what it gave.

    A threshold lies midway between two neighbouring probabilities. Raises ValueError for a finding that all
    cases have, or none.
    """
    return {
        finding: _youden(probabilities[:, column], targets[:, column] == 1, finding)
        for column, finding in enumerate(findings)
    }


def _youden(scores: np.ndarray, positive: np.ndarray, finding: str) -> dict[str, float]:
    if positive.all() or not positive.any():
        raise ValueError(
            f"no threshold can be fitted for {finding!r}: validation needs cases with and without it"
        )
    values = np.unique(scores)
    candidates = (values[1:] + values[:-1]) / 2 if len(values) > 1 else values
    ups, downs = np.sort(scores[positive]), np.sort(scores[~positive])
    sensitivity = 1 - np.searchsorted(ups, candidates) / len(ups)
    specificity = np.searchsorted(downs, candidates) / len(downs)
    best = float(candidates[int(np.argmax(sensitivity + specificity))])
    given = decisions(scores, positive, np.ones(len(scores)), best)
    return {"threshold": best, "sensitivity": given["sensitivity"], "specificity": given["specificity"]}


def fit_cam_scale(grids: Sequence[Mapping[str, Sequence]], shown: Sequence[str]) -> float:
    """The 99th percentile of the positive map values of each case's most probable finding, in logits."""
    values = np.concatenate([np.ravel(grid[name]) for grid, name in zip(grids, shown, strict=True)])
    positive = values[values > 0]
    return float(np.percentile(positive, 99)) if len(positive) else 1.0
