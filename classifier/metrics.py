"""Measures of a classifier on weighted cases, in numpy; scikit-learn's are the yardstick in the tests.

Everywhere: `probabilities` float (N, findings), `targets` (N, findings) of 0 and 1, and `weights` (N,), by
which a bootstrap by patient counts cases instead of copying them.
"""

from __future__ import annotations

import numpy as np

BINS = 10


def auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN when one of the two sides has no weight."""
    order = np.argsort(scores, kind="stable")
    scores, positive, weights = scores[order], positive[order].astype(bool), weights[order]
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    ups = np.add.reduceat(np.where(positive, weights, 0.0), starts)
    downs = np.add.reduceat(np.where(positive, 0.0, weights), starts)
    below = np.cumsum(downs) - downs
    pairs = ups.sum() * downs.sum()
    return float((ups * (below + downs / 2)).sum() / pairs) if pairs else float("nan")


def macro_auc(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """Mean over the findings of each one's AUC against the rest."""
    findings = range(targets.shape[1])
    return float(np.mean([auc(probabilities[:, k], targets[:, k] == 1, weights) for k in findings]))


def decisions(
    scores: np.ndarray, positive: np.ndarray, weights: np.ndarray, threshold: float
) -> dict[str, float]:
    """Sensitivity, specificity, PPV, NPV and F1 of `score >= threshold`; NaN where nothing is counted."""
    said, positive = scores >= threshold, positive.astype(bool)
    tp, fp = weights[said & positive].sum(), weights[said & ~positive].sum()
    fn, tn = weights[~said & positive].sum(), weights[~said & ~positive].sum()
    return {
        "sensitivity": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp),
        "ppv": _ratio(tp, tp + fp),
        "npv": _ratio(tn, tn + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
    }


def accuracy(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """Share of cases whose most probable finding is theirs."""
    return _ratio(weights[_right(probabilities, targets)].sum(), weights.sum())


def balanced_accuracy(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """Mean over the findings of the share of their cases for which they are the most probable one."""
    right, truth = _right(probabilities, targets), targets.argmax(axis=1)
    recalls = [
        _ratio(weights[right & (truth == k)].sum(), weights[truth == k].sum())
        for k in range(targets.shape[1])
    ]
    known = [recall for recall in recalls if not np.isnan(recall)]
    return float(np.mean(known)) if known else float("nan")


def confusion(probabilities: np.ndarray, targets: np.ndarray) -> list[list[int]]:
    """Counts, rows the true finding, columns the most probable one."""
    count = targets.shape[1]
    cells = targets.argmax(axis=1) * count + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=count * count).reshape(count, count).tolist()


def brier(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """Mean squared distance between probabilities and truth, summed over the findings: 0 (best) to 2."""
    return _ratio((weights * ((probabilities - targets) ** 2).sum(axis=1)).sum(), weights.sum())


def calibration_error(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """Expected calibration error of the most probable finding in ten equal bins (Guo et al. 2017)."""
    sure, right = probabilities.max(axis=1), _right(probabilities, targets)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gap = np.bincount(bins, weights * (right - sure), minlength=BINS)
    return _ratio(np.abs(gap).sum(), weights.sum())


def log_loss(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    likelihood = np.clip((probabilities * targets).sum(axis=1), 1e-12, 1)
    return _ratio(-(weights * np.log(likelihood)).sum(), weights.sum())


def _right(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return probabilities.argmax(axis=1) == targets.argmax(axis=1)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
