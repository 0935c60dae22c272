"""How common each finding is at a site: from labels, or from the results without labels, with 95 % intervals.

numpy only. Arguments as in `correction` and `operating_point`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from classifier.evaluation.bootstrap import Interval, intervals
from classifier.evaluation.site.correction import estimated_prevalence

DRAWS, DRAWS_OF_STREAM, SEED = 500, 100, 0


def of_labels(
    targets: np.ndarray, known: np.ndarray, patients: np.ndarray, findings: Sequence[str]
) -> dict[str, Interval]:
    """The share of each finding among the scans on which it is labelled."""

    def measures(weights: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (weights @ (targets * known)) / (weights @ known.astype(float))
        return {finding: found[:, k] for k, finding in enumerate(findings)}

    if not len(patients):
        return {}
    return intervals(measures, list(patients), draws=DRAWS, seed=SEED)


def smoothed(
    targets: np.ndarray, known: np.ndarray, findings: Sequence[str], activation: str
) -> dict[str, float]:
    """The shares of `of_labels` with half a scan added on both sides; with softmax they sum to 1."""
    present, labelled = (targets * known).sum(axis=0), known.sum(axis=0)
    found = (present + 0.5) / (labelled + 1)
    if activation == "softmax":
        found = found / found.sum()
    return dict(zip(findings, found.tolist(), strict=True))


def of_stream(
    probabilities: np.ndarray,
    patients: np.ndarray,
    prior: Mapping[str, float],
    findings: Sequence[str],
    activation: str,
) -> dict[str, Interval]:
    """The prevalence by EM, `prior` being what the probabilities (N, findings) assume."""
    assumed = np.array([prior[finding] for finding in findings])
    whole = estimated_prevalence(probabilities, assumed, activation)

    def measures(weights: np.ndarray) -> dict[str, np.ndarray]:
        # From the estimate for all: the draws are near it, so few steps are needed.
        found = estimated_prevalence(probabilities, assumed, activation, weights=weights, start=whole)
        return {finding: found[:, k] for k, finding in enumerate(findings)}

    return intervals(measures, list(patients), draws=DRAWS_OF_STREAM, seed=SEED)
