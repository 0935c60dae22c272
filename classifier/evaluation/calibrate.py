"""What is fitted on validation after training: temperature, biases, thresholds and the scale of the maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, softmax

from classifier.evaluation.metrics import decisions

TEMPERATURES = (0.1, 10.0)
TINY = 1e-7
LEASH = 1e-4  # on the biases: a finding that validation lacks does not drift away
METHODS = ("bias", "temperature")


def fit_calibration(
    probabilities: np.ndarray, targets: np.ndarray, activation: str, *, method: str = "bias"
) -> tuple[float, np.ndarray]:
    """Temperature in 0.1..10 and biases (findings,) with the least log loss, from uncalibrated probabilities.

    `temperature` (Guo et al. 2017) leaves the biases at 0; `bias` (Alexandari et al. 2020) also undoes that
    findings are drawn alike in training. Targets are smoothed as by Platt (1999), so that a few cases which
    are told apart make nothing certain. `probabilities`, `targets`: (N, findings). The probabilities stand in
    for the logits, which they give up to a constant that softmax ignores. Raises ValueError without cases.
    """
    if not len(probabilities):
        raise ValueError("no cases to calibrate on")
    count = probabilities.shape[1]
    believed = _smoothed(targets, activation)

    def loss(x: np.ndarray) -> float:
        fitted = recalibrated(probabilities, 1 / x[0], x[1:], activation)
        return _log_loss(fitted, believed, activation) + LEASH * (x[1:] ** 2).sum()

    free = None if method == "bias" else 0.0
    bounds = [(1 / TEMPERATURES[1], 1 / TEMPERATURES[0]), *[(free, free)] * count]
    x = minimize(loss, np.r_[1.0, np.zeros(count)], method="L-BFGS-B", bounds=bounds).x
    return float(1 / x[0]), x[1:]


def recalibrated(
    probabilities: np.ndarray, temperature: float, bias: np.ndarray | float, activation: str
) -> np.ndarray:
    """Uncalibrated probabilities (N, findings), their logits divided by `temperature` and moved by `bias`."""
    sure = np.clip(probabilities.astype(np.float64), TINY, 1 - TINY)
    if activation == "sigmoid":
        return expit(np.log(sure / (1 - sure)) / temperature + bias)
    return softmax(np.log(sure) / temperature + bias, axis=1)


def _smoothed(targets: np.ndarray, activation: str) -> np.ndarray:
    """Targets (N, findings) of 0 and 1 as what one more case of each kind leaves to believe."""
    there = targets.sum(axis=0)
    if activation == "sigmoid":
        return np.where(targets > 0, (there + 1) / (there + 2), 1 / (len(targets) - there + 2))
    alike = targets @ there  # cases with the same finding, (N,)
    return (1 + alike[:, None] * targets) / (alike[:, None] + targets.shape[1])


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
    return {"threshold": best, **{name: float(given[name]) for name in ("sensitivity", "specificity")}}


def fit_cam_scale(grids: Sequence[Mapping[str, Sequence]], shown: Sequence[str]) -> float:
    """The 99th percentile of the positive map values of each case's most probable finding, in logits."""
    values = np.concatenate([np.ravel(grid[name]) for grid, name in zip(grids, shown, strict=True)])
    positive = values[values > 0]
    return float(np.percentile(positive, 99)) if len(positive) else 1.0


def fit_low_confidence(
    uncertainty: np.ndarray, right: np.ndarray, *, most: float = 0.1, least: int = 20
) -> dict[str, float] | None:
    """The uncertainty from which on an answer is no better than a coin's, and what lies above it.

    `uncertainty` (N,) in 0..1; `right` (N,): the likeliest finding was the true one. Of the limits with
    at least `least` cases above, at most the share `most`, and at most half of them right, it is the one with
    the most above; None where there is none: then every answer is worth giving.
    """
    order = np.argsort(-uncertainty, kind="stable")
    share_right = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    counts = np.arange(least, int(most * len(order)) + 1)
    counts = counts[(share_right[counts - 1] <= 0.5)] if len(counts) else counts
    counts = [k for k in counts if k < len(order) and uncertainty[order[k - 1]] > uncertainty[order[k]]]
    if not counts:
        return None
    above = max(counts)
    limit = (uncertainty[order[above - 1]] + uncertainty[order[above]]) / 2
    return {
        "limit": float(limit),
        "withheld": above / len(order),
        "right_above": float(share_right[above - 1]),
        "right_below": float(right[order[above:]].mean()),
    }
