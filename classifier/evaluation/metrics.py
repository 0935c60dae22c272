"""Classification metrics on weighted cases, in numpy; the tests compare them with scikit-learn.

Arguments: `probabilities` float (N, findings), `targets` (N, findings) of 0 and 1, `weights` (N,) or, for
several bootstrap draws at once, (draws, N). Results are a number, or one per draw; NaN where undefined.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

BINS = 10
TINY = 1e-7
Measured = np.ndarray | float


def auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> Measured:
    """Area under the ROC curve, ties counted half; NaN without weight on one side."""
    ups, downs = _by_score(scores, positive, weights)
    below = np.cumsum(downs, axis=-1) - downs
    pairs = ups.sum(axis=-1) * downs.sum(axis=-1)
    return ratio((ups * (below + downs / 2)).sum(axis=-1), pairs)


def average_precision(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> Measured:
    """Area under the precision-recall curve, in steps; NaN without weight on the positive side."""
    ups, downs = (side[..., ::-1] for side in _by_score(scores, positive, weights))
    found = np.cumsum(ups, axis=-1)
    called = found + np.cumsum(downs, axis=-1)
    precision = np.divide(found, called, out=np.zeros_like(called), where=called > 0)
    return ratio((ups * precision).sum(axis=-1), ups.sum(axis=-1))


def macro_auc(
    probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray, findings: Sequence[int] | None = None
) -> Measured:
    """Mean over the findings (their columns; all by default) of each one's AUC against the rest."""
    columns = range(targets.shape[1]) if findings is None else findings
    areas = [auc(probabilities[:, k], targets[:, k] == 1, weights) for k in columns]
    return np.mean(areas, axis=0) if areas else np.full(weights.shape[:-1], np.nan)[()]


def decisions(
    scores: np.ndarray, positive: np.ndarray, weights: np.ndarray, threshold: np.ndarray | float
) -> dict[str, Measured]:
    """Measures of the decision `score >= threshold`; sensitivity is also called recall, PPV precision."""
    called, positive = scores >= threshold, positive.astype(bool)
    cells = np.stack([called & positive, called & ~positive, ~called & positive, ~called & ~positive], axis=1)
    tp, fp, fn, tn = np.moveaxis(weights @ cells.astype(float), -1, 0)
    sensitivity, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": ratio(tp, tp + fp),
        "npv": ratio(tn, tn + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "accuracy": ratio(tp + tn, tp + fp + fn + tn),
        "balanced_accuracy": (sensitivity + specificity) / 2,
    }


def at_prevalence(sensitivity: Measured, specificity: Measured, prevalence: float) -> dict[str, Measured]:
    """PPV and NPV at a prevalence of the finding (Bayes)."""
    true_up, false_up = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    true_down, false_down = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return {"ppv": ratio(true_up, true_up + false_up), "npv": ratio(true_down, true_down + false_down)}


def accuracy(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Measured:
    """Share of cases whose most probable finding is the true one."""
    return ratio(weights @ right(probabilities, targets).astype(float), weights.sum(axis=-1))


def balanced_accuracy(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Measured:
    """Mean recall of naming the most probable finding, over the findings that occur."""
    true, _, present = _named(probabilities, targets, weights)
    return _mean_of_known(ratio(true, present))


def macro_f1(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Measured:
    """Mean F1 of naming the most probable finding, over the findings that occur or are named."""
    true, named, present = _named(probabilities, targets, weights)
    return _mean_of_known(ratio(2 * true, named + present))


def confusion(probabilities: np.ndarray, targets: np.ndarray) -> list[list[int]]:
    """Counts, rows the true finding, columns the most probable one."""
    count = targets.shape[1]
    cells = targets.argmax(axis=1) * count + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=count * count).reshape(count, count).tolist()


def brier(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Measured:
    """Mean squared distance between probabilities and targets, summed over the findings: 0 (best) to 2."""
    return ratio(weights @ ((probabilities - targets) ** 2).sum(axis=1), weights.sum(axis=-1))


def log_loss(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Measured:
    likelihood = np.clip((probabilities * targets).sum(axis=1), 1e-12, 1)
    return ratio(-(weights @ np.log(likelihood)), weights.sum(axis=-1))


def calibration_error(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> Measured:
    """Expected calibration error of probabilities (N,) in ten equal bins (Naeini et al. 2015)."""
    gaps = np.eye(BINS)[bins_of(scores)] * (positive - scores)[:, None]
    return ratio(np.abs(weights @ gaps).sum(axis=-1), weights.sum(axis=-1))


def bins_of(scores: np.ndarray) -> np.ndarray:
    return np.minimum((scores * BINS).astype(int), BINS - 1)


def recalibration(
    scores: np.ndarray, positive: np.ndarray, weights: np.ndarray, *, steps: int = 30
) -> tuple[Measured, Measured]:
    """Slope and intercept of the logistic regression of the targets on the log-odds of `scores` (Cox 1958).

    (1, 0) is perfect; a slope below 1 means overconfidence. NaN where the two sides do not overlap.
    """
    sure = np.clip(scores.astype(float), TINY, 1 - TINY)
    x, y, w = np.log(sure / (1 - sure)), positive.astype(float), np.atleast_2d(weights)
    powers = np.stack([np.ones_like(x), x, x * x], axis=1)
    intercept, slope = np.zeros(len(w)), np.ones(len(w))
    change = np.full((2, len(w)), np.inf)
    for _ in range(steps):
        expected = expit(intercept[:, None] + slope[:, None] * x)
        down, across = np.moveaxis((w * (y - expected)) @ powers[:, :2], -1, 0)
        h0, h1, h2 = np.moveaxis((w * expected * (1 - expected)) @ powers, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.stack([h2 * down - h1 * across, h0 * across - h1 * down]) / (h0 * h2 - h1 * h1)
        intercept, slope = intercept + np.clip(change[0], -4, 4), slope + np.clip(change[1], -4, 4)
        if np.nanmax(np.abs(change), initial=0.0) < 1e-8:
            break
    settled = np.abs(change).max(axis=0) < 1e-4
    slope, intercept = np.where(settled, slope, np.nan), np.where(settled, intercept, np.nan)
    return (slope, intercept) if weights.ndim == 2 else (slope[0], intercept[0])


def right(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Whether the most probable finding of each case is the true one."""
    return probabilities.argmax(axis=1) == targets.argmax(axis=1)


def _by_score(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of the positive and of the other cases at each distinct score, rising: (..., scores)."""
    order = np.argsort(scores, kind="stable")
    scores, positive, weights = scores[order], positive[order].astype(bool), weights[..., order]
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    ups = np.add.reduceat(weights * positive, starts, axis=-1)
    return ups, np.add.reduceat(weights, starts, axis=-1) - ups


def _named(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """By finding, the weights of true positives, of all cases named so, and of all cases with it."""
    eye = np.eye(targets.shape[1])
    named, true = eye[probabilities.argmax(axis=1)], eye[targets.argmax(axis=1)]
    return weights @ (named * true), weights @ named, weights @ true


def _mean_of_known(values: np.ndarray) -> Measured:
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1))


def ratio(part: Measured, whole: Measured) -> Measured:
    """`part` / `whole`; NaN where `whole` is not positive."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=float), np.asarray(whole, dtype=float))
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)[()]
