"""Points of ROC, precision-recall and reliability curves, thinned to the resolution of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from classifier.evaluation.metrics import BINS, bins_of, right

FINENESS = 200  # resolution: distinct positions along an axis


def curves(
    findings: Sequence[str], probabilities: np.ndarray, targets: np.ndarray, *, exclusive: bool
) -> dict[str, Any]:
    """`{"roc", "precision_recall", "reliability"}`, by finding; reliability also of the most probable one."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    found: dict[str, Any] = {"roc": {}, "precision_recall": {}, "reliability": {}}
    for k, finding in enumerate(findings):
        known = ~np.isnan(targets[:, k])
        scores, positive = probabilities[known, k], targets[known, k] == 1
        found["reliability"][finding] = reliability(scores, positive)
        if 0 < positive.sum() < len(positive):
            false_share, true_share, _ = roc_curve(positive, scores, drop_intermediate=False)
            precision, recall, _ = precision_recall_curve(positive, scores)
            found["roc"][finding] = _thinned(false_share, true_share)
            found["precision_recall"][finding] = _thinned(recall[::-1], precision[::-1])
    if exclusive:
        top = reliability(probabilities.max(axis=1), right(probabilities, targets))
        found["reliability"]["most probable"] = top
    return found


def reliability(scores: np.ndarray, positive: np.ndarray) -> list[dict[str, float]]:
    """The cases, mean probability and share of positives of each non-empty one of ten equal bins."""
    index = bins_of(scores)
    return [
        {
            "cases": int((index == b).sum()),
            "mean": float(scores[index == b].mean()),
            "observed": float(positive[index == b].mean()),
        }
        for b in range(BINS)
        if (index == b).any()
    ]


def _thinned(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    cell = np.round(x * FINENESS) * (FINENESS + 1) + np.round(y * FINENESS)
    kept = np.r_[True, cell[1:] != cell[:-1]]
    kept[-1] = True
    return [[round(float(a), 4), round(float(b), 4)] for a, b in zip(x[kept], y[kept], strict=True)]
