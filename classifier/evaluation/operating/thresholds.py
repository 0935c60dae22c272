"""Thresholds for a stated false-alarm rate at every origin, and the operating curve around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from classifier.contract import NORMAL, OperatingPoint
from classifier.evaluation.calibrate import fit_thresholds

FEWEST_NORMALS = 30  # of an origin; those with fewer count as one
SMALL_ORIGINS = "small origins"
CURVE_RATES = (
    *(0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12),
    *(0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1),
)


@dataclass(frozen=True)
class Scores:
    """Calibrated probabilities of one finding on the images with it, and on normal images by origin.

    For `normal`, and in a model without it, the images without the finding stand for normal ones.
    """

    positives: np.ndarray
    normals: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls, probabilities: np.ndarray, targets: np.ndarray, findings: Sequence[str], finding: str, origins
    ) -> Scores:
        """From arrays (N, findings) and the origin of each image (N,)."""
        k = list(findings).index(finding)
        others = NORMAL in findings and finding != NORMAL
        negative = targets[:, list(findings).index(NORMAL)] == 1 if others else targets[:, k] == 0
        scores = probabilities[:, k]
        counts = Counter(np.asarray(origins)[negative].tolist())
        named = np.array([o if counts[o] >= FEWEST_NORMALS else SMALL_ORIGINS for o in origins])
        normals = {str(name): scores[negative & (named == name)] for name in np.unique(named[negative])}
        return cls(scores[targets[:, k] == 1], normals)

    @property
    def limiting(self) -> dict[str, np.ndarray]:
        """The normals of each origin that has enough of them; of all origins together if none has."""
        enough = {name: scores for name, scores in self.normals.items() if len(scores) >= FEWEST_NORMALS}
        return enough or {SMALL_ORIGINS: np.concatenate(list(self.normals.values()))}

    def point(self, threshold: float) -> OperatingPoint:
        shares = [share_above(scores, threshold) for scores in self.limiting.values()]
        everywhere = np.concatenate(list(self.normals.values()))
        sensitivity = share_above(self.positives, threshold)
        return OperatingPoint(threshold, sensitivity, share_above(everywhere, threshold), max(shares))

    def above(self, value: float) -> float:
        """A threshold midway between `value` and the next higher score."""
        scores = np.concatenate([self.positives, *self.normals.values()])
        higher = scores[scores > value]
        return float(value + (higher.min() if len(higher) else max(1.0, value))) / 2

    def lowest(self, allowed: Mapping[str, int]) -> float:
        """The lowest threshold with at most the `allowed` false alarms at each limiting origin."""
        barred = [
            np.sort(s)[::-1][allowed[name]] for name, s in self.limiting.items() if allowed[name] < len(s)
        ]
        return self.above(max(barred)) if barred else 0.0

    def without_loss(self, threshold: float) -> float:
        """The highest threshold that finds all that `threshold` finds, with fewer false alarms."""
        found = self.positives[self.positives >= threshold]
        if not len(found):
            return threshold
        scores = np.concatenate([self.positives, *self.normals.values()])
        lower = scores[scores < found.min()]
        return max(threshold, float(lower.max() + found.min()) / 2) if len(lower) else threshold


def share_above(scores: np.ndarray, threshold: float) -> float:
    return float((scores >= threshold).mean()) if len(scores) else float("nan")


def fit_operating_points(
    probabilities: np.ndarray,
    targets: np.ndarray,
    findings: Sequence[str],
    origins: Sequence[str],
    *,
    rate: float = 0.1,
    by: str = "false_alarms",
) -> tuple[dict[str, dict[str, Any]], dict[str, tuple[OperatingPoint, ...]]]:
    """For each finding the threshold with its measures, and the operating curve.

    `by` "false_alarms": the lowest threshold at which a new normal image of any origin raises a false alarm
    with a probability of at most `rate`, if it is like the validation images of that origin (k alarms in n
    images: (k + 1) / (n + 1) <= rate; Vovk et al. 2005). Origins with fewer than 30 normal images count as
    one. `normal` is reported only if no other finding is, and has the threshold of Youden's index, as all
    have `by` "youden". Raises ValueError for a finding of all images or none.
    """
    facts, curves = fit_thresholds(probabilities, targets, findings), {}
    for finding, fact in facts.items():
        scores = Scores.of(probabilities, targets, findings, finding, origins)
        if by == "false_alarms" and finding != NORMAL:
            allowed = {
                name: max(0, int(rate * (len(s) + 1) + 1e-9) - 1) for name, s in scores.limiting.items()
            }
            fact["threshold"] = scores.without_loss(scores.lowest(allowed))
        threshold = fact["threshold"]
        k = list(findings).index(finding)
        fact["specificity"] = 1 - share_above(probabilities[targets[:, k] == 0, k], threshold)
        _, fact["sensitivity"], fact["false_alarms"], fact["worst_false_alarms"] = scores.point(threshold)
        fact["origins"] = {
            name: {"normals": len(s), "false_alarms": share_above(s, threshold)}
            for name, s in scores.normals.items()
        }
        curves[finding] = operating_curve(scores, threshold)
    return facts, curves


def operating_curve(scores: Scores, threshold: float) -> tuple[OperatingPoint, ...]:
    """About twenty points, by rising threshold: the chosen one, and the lowest for each of CURVE_RATES."""
    lowest = {
        scores.lowest({name: int(rate * len(s) + 1e-9) for name, s in scores.limiting.items()})
        for rate in CURVE_RATES
    }
    points = [scores.point(value) for value in sorted({threshold, *lowest})]
    return tuple(OperatingPoint(*(float(f"{value:.5g}") for value in point)) for point in points)
