"""Fits temperature, biases, thresholds, uncertainty limit and heatmap scale on the validation part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, softmax

from classifier.evaluation.metrics import decisions

TEMPERATURES = (0.1, 10.0)
TINY = 1e-7
L2_PENALTY = 1e-4  # bounds the bias of a finding without validation cases
METHODS = ("bias", "temperature")


def fit_calibration(
    probabilities: np.ndarray, targets: np.ndarray, activation: str, *, method: str = "bias"
) -> tuple[float, np.ndarray]:
    """Temperature in 0.1..10 and biases (findings,) with minimal log loss, from uncalibrated probabilities.

    Method `temperature` (Guo et al. 2017) keeps the biases at 0; `bias` (Alexandari et al. 2020) also
    corrects for balanced sampling in training. Targets are smoothed (Platt 1999), so that few separable cases
    do not give certainty. `probabilities`, `targets`: (N, findings). Raises ValueError without cases.
    """
    if not len(probabilities):
        raise ValueError("no cases to calibrate on")
    count = probabilities.shape[1]
    smoothed = _smoothed(targets, activation)

    def loss(x: np.ndarray) -> float:
        fitted = recalibrated(probabilities, 1 / x[0], x[1:], activation)
        return _log_loss(fitted, smoothed, activation) + L2_PENALTY * (x[1:] ** 2).sum()

    free = None if method == "bias" else 0.0
    bounds = [(1 / TEMPERATURES[1], 1 / TEMPERATURES[0]), *[(free, free)] * count]
    x = minimize(loss, np.r_[1.0, np.zeros(count)], method="L-BFGS-B", bounds=bounds).x
    return float(1 / x[0]), x[1:]


def recalibrated(
    probabilities: np.ndarray, temperature: float, bias: np.ndarray | float, activation: str
) -> np.ndarray:
    """Probabilities (N, findings) with logits divided by `temperature` and shifted by `bias`."""
    sure = np.clip(probabilities.astype(np.float64), TINY, 1 - TINY)
    if activation == "sigmoid":
        return expit(np.log(sure / (1 - sure)) / temperature + bias)
    return softmax(np.log(sure) / temperature + bias, axis=1)


def _smoothed(targets: np.ndarray, activation: str) -> np.ndarray:
    """Targets (N, findings) of 0 and 1, smoothed by one additional case of each kind."""
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
    """For each finding the threshold of maximal sensitivity + specificity (Youden 1950), and both measures.

    Thresholds lie midway between neighbouring probabilities. Raises ValueError for a finding of all cases or
    none.
    """
    return {
        finding: _youden(probabilities[:, column], targets[:, column] == 1, finding)
        for column, finding in enumerate(findings)
    }


def _youden(scores: np.ndarray, positive: np.ndarray, finding: str) -> dict[str, float]:
    if positive.all() or not positive.any():
        raise ValueError(
            f"Cannot fit a threshold for {finding!r}: the validation part needs images with and without it"
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
    """The uncertainty above which at most half of the predictions are right, and the shares above it.

    `uncertainty` (N,) in 0..1; `right` (N,): the most probable finding is the true one. At least `least`
    cases and at most the share `most` of all are above the limit, as many as possible; None if there is no
    such limit.
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
