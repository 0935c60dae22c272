"""Fits a model's probabilities to one site: recalibration on its labelled scans, and its prevalence.

numpy only: the web process imports it. Arguments: `probabilities` (N, findings) in 0..1; `targets` (N,
findings) of 0 and 1; `known` (N, findings), whether the target is; `activation` as in ModelSpec.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from classifier.contract import finding_in_text

NONE, TEMPERATURE, ISOTONIC = RECALIBRATIONS = ("none", "temperature", "isotonic")
# Labelled scans that a method needs. Temperature and biases are a few numbers; isotonic regression has a
# step for every few scans and overfits small samples (Niculescu-Mizil and Caruana 2005).
LEAST = {TEMPERATURE: 50, ISOTONIC: 500}
LEAST_OF_EACH = 10  # scans with and without each finding
TINY = 1e-6
INVERSE_TEMPERATURES = (0.1, 10.0)
L2_PENALTY = 1e-4  # per scan; softmax biases are defined only up to a constant
NEWTON_STEPS = 100
EM_STEPS, EM_TOLERANCE = 2000, 1e-7

Steps = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class Correction:
    """Turns the model's own probabilities into a site's.

    First `recalibration`: temperature divides the logits and adds `bias`; isotonic maps each probability by
    `steps` (rising probabilities before and after), then normalises softmax outputs. Then the prevalence:
    the result assumes the shares in `prior` and is corrected to those in `prevalence`; empty: no correction.
    """

    recalibration: str = NONE
    temperature: float = 1.0
    bias: Mapping[str, float] = field(default_factory=dict)
    steps: Mapping[str, Steps] = field(default_factory=dict)
    prior: Mapping[str, float] = field(default_factory=dict)
    prevalence: Mapping[str, float] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether any probability differs from the model's own."""
        return self.recalibration != NONE or bool(self.prevalence)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Correction:
        return cls(**values)


def corrected(
    probabilities: np.ndarray, correction: Correction, findings: Sequence[str], activation: str
) -> np.ndarray:
    """The site's probabilities (N, findings)."""
    found = recalibrated(probabilities, correction, findings, activation)
    if not correction.prevalence:
        return found
    prior, prevalence = (
        np.array([shares[finding] for finding in findings])
        for shares in (correction.prior, correction.prevalence)
    )
    return shifted(found, prior, prevalence, activation)


def recalibrated(
    probabilities: np.ndarray, correction: Correction, findings: Sequence[str], activation: str
) -> np.ndarray:
    """The probabilities after recalibration alone: they assume the prevalence of the labelled scans."""
    if correction.recalibration == TEMPERATURE:
        bias = np.array([correction.bias[finding] for finding in findings])
        return _outputs(_logits(probabilities, activation) / correction.temperature + bias, activation)
    if correction.recalibration == ISOTONIC:
        columns = [np.interp(probabilities[:, k], *correction.steps[name]) for k, name in enumerate(findings)]
        found = np.stack(columns, axis=1)
        return found / found.sum(axis=1, keepdims=True) if activation == "softmax" else found
    return probabilities


def settled(targets: np.ndarray, known: np.ndarray, activation: str) -> np.ndarray:
    """Which scans recalibration can use, (N,); with softmax, those with exactly one finding, none unknown."""
    if activation == "softmax":
        return known.all(axis=1) & (targets.sum(axis=1) == 1)
    return known.any(axis=1)


def fit(
    recalibration: str,
    probabilities: np.ndarray,
    targets: np.ndarray,
    known: np.ndarray,
    findings: Sequence[str],
    activation: str,
) -> Correction:
    """Recalibration fitted on labelled scans, with the prevalence that it assumes as `prior`.

    Raises ValueError, for people, when there are too few labelled scans.
    """
    check_counts(recalibration, targets, known, findings, activation)
    used = settled(targets, known, activation)
    p, y, there = probabilities[used], targets[used], known[used]
    if recalibration == TEMPERATURE:
        inverse, bias = _fit_temperature(p, _smoothed(y, there, activation), there, activation)
        named = dict(zip(findings, bias.tolist(), strict=True))
        fitted = Correction(TEMPERATURE, temperature=1 / inverse, bias=named)
    else:
        steps = {
            name: isotonic_steps(p[there[:, k], k], y[there[:, k], k]) for k, name in enumerate(findings)
        }
        fitted = Correction(ISOTONIC, steps=steps)
    assumed = recalibrated(p, fitted, findings, activation).mean(axis=0)
    return Correction(**vars(fitted) | {"prior": dict(zip(findings, assumed.tolist(), strict=True))})


def check_counts(
    recalibration: str, targets: np.ndarray, known: np.ndarray, findings: Sequence[str], activation: str
) -> None:
    """Raise ValueError, for people, when there are too few labelled scans for this recalibration."""
    used = settled(targets, known, activation)
    least = LEAST[recalibration]
    if used.sum() < least:
        raise ValueError(
            f"{recalibration.capitalize()} recalibration needs {least} scans on which every finding "
            f"of the model is labelled; there are {used.sum()}."
        )
    for k, finding in enumerate(findings):
        present = int((targets[:, k] * (known[:, k] & used)).sum())
        absent = int((known[:, k] & used).sum()) - present
        if min(present, absent) < LEAST_OF_EACH:
            raise ValueError(
                f"{recalibration.capitalize()} recalibration needs {LEAST_OF_EACH} scans with and without "
                f"each finding; for {finding_in_text(finding)} there are {present} with and {absent} without."
            )


def shifted(
    probabilities: np.ndarray, prior: np.ndarray, prevalence: np.ndarray, activation: str
) -> np.ndarray:
    """Probabilities that assume the shares `prior` (findings,), corrected to `prevalence` (Saerens 2002)."""
    before, after = (np.clip(shares, TINY, 1 - TINY) for shares in (prior, prevalence))
    if activation == "softmax":
        weighted = probabilities * (after / before)
        return weighted / weighted.sum(axis=-1, keepdims=True)
    there = probabilities * (after / before)
    return there / (there + (1 - probabilities) * ((1 - after) / (1 - before)))


def estimated_prevalence(
    probabilities: np.ndarray,
    prior: np.ndarray,
    activation: str,
    *,
    weights: np.ndarray | None = None,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Prevalence (findings,) of unlabelled scans by EM (Saerens, Latinne and Decaestecker 2002, eq. 9).

    Right only if scans of each finding look as those that the probabilities were calibrated on. With
    `weights` (draws, N), one prevalence a draw. `start`: where the iteration starts, by default `prior`.
    """
    drawn = np.ones((1, len(probabilities))) if weights is None else weights
    shares = np.broadcast_to(prior if start is None else start, (len(drawn), probabilities.shape[1])).copy()
    total = drawn.sum(axis=1, keepdims=True)
    for _ in range(EM_STEPS):
        found = shifted(probabilities, prior, shares[:, None, :], activation)
        latest = np.einsum("dn,dnk->dk", drawn, found) / total
        moved = np.abs(latest - shares).max()
        shares = latest
        if moved < EM_TOLERANCE:
            break
    return shares[0] if weights is None else shares


def isotonic_steps(scores: np.ndarray, targets: np.ndarray) -> Steps:
    """Isotonic regression of the targets (N,) on the scores (N,), as the ends of its steps.

    Pool adjacent violators (Ayer 1955). No step reaches 0 or 1: n scans cannot show more than 1 in n + 2.
    """
    values, place = np.unique(scores, return_inverse=True)
    counts = np.bincount(place).astype(float)
    blocks: list[list[float]] = []  # mean, weight, first and last score
    for value, mean, count in zip(values, np.bincount(place, targets) / counts, counts, strict=True):
        blocks.append([mean, count, value, value])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (m1, n1, first, _), (m2, n2, _, last) = blocks[-2], blocks.pop()
            blocks[-1] = [(m1 * n1 + m2 * n2) / (n1 + n2), n1 + n2, first, last]
    ends = [(x, mean) for mean, _, first, last in blocks for x in dict.fromkeys((first, last))]
    limit = 1 / (len(scores) + 2)
    return [float(x) for x, _ in ends], [float(min(max(mean, limit), 1 - limit)) for _, mean in ends]


def _fit_temperature(
    probabilities: np.ndarray, targets: np.ndarray, known: np.ndarray, activation: str
) -> tuple[float, np.ndarray]:
    """Inverse temperature and biases (findings,) of least log loss, which is convex: Newton's method."""
    logits = _logits(probabilities, activation)
    count, width = logits.shape
    x = np.concatenate([logits[:, :, None], np.broadcast_to(np.eye(width), (count, width, width))], axis=2)
    penalty = 2 * L2_PENALTY * count * np.r_[0.0, np.ones(width)]
    low, high = INVERSE_TEMPERATURES

    def loss(parameters: np.ndarray) -> float:
        found = np.clip(_outputs(x @ parameters, activation), 1e-300, 1)
        gained = targets * np.log(found)
        if activation == "sigmoid":
            gained = gained + (1 - targets) * np.log(np.clip(1 - found, 1e-300, 1))
        return float(-(gained * known).sum() + (penalty * parameters**2).sum() / 2)

    parameters = np.r_[1.0, np.zeros(width)]
    for _ in range(NEWTON_STEPS):
        slope, curvature = _derivatives(parameters, x, targets, known, activation)
        slope, curvature = slope + penalty * parameters, curvature + np.diag(penalty + 1e-9)
        at_limit = (parameters[0] <= low and slope[0] > 0) or (parameters[0] >= high and slope[0] < 0)
        free = np.r_[not at_limit, np.ones(width, bool)]
        step = np.zeros(width + 1)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], slope[free])
        latest, length = parameters, 1.0
        while length > 1e-6:
            latest = parameters - length * step
            latest[0] = np.clip(latest[0], low, high)
            if loss(latest) <= loss(parameters):
                break
            length /= 2
        moved = np.abs(latest - parameters).max()
        parameters = latest
        if moved < 1e-8:
            break
    return float(parameters[0]), parameters[1:]


def _derivatives(
    parameters: np.ndarray, x: np.ndarray, targets: np.ndarray, known: np.ndarray, activation: str
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian of the log loss, without its penalty; `x`: (N, findings, parameters)."""
    found = _outputs(x @ parameters, activation)
    slope = np.einsum("nk,nkj->j", (found - targets) * known, x)
    if activation == "softmax":
        mean = np.einsum("nk,nkj->nj", found, x)
        return slope, np.einsum("nk,nki,nkj->ij", found, x, x) - mean.T @ mean
    return slope, np.einsum("nk,nki,nkj->ij", found * (1 - found) * known, x, x)


def _smoothed(targets: np.ndarray, known: np.ndarray, activation: str) -> np.ndarray:
    """Targets smoothed by one additional scan of each kind (Platt 1999), so that none is certain."""
    present = (targets * known).sum(axis=0)
    if activation == "softmax":
        alike = targets @ present  # scans with the same finding, (N,)
        return (1 + alike[:, None] * targets) / (alike[:, None] + targets.shape[1])
    absent = known.sum(axis=0) - present
    return np.where(targets > 0, (present + 1) / (present + 2), 1 / (absent + 2))


def _logits(probabilities: np.ndarray, activation: str) -> np.ndarray:
    sure = np.clip(probabilities.astype(float), TINY, 1 - TINY)
    return np.log(sure) if activation == "softmax" else np.log(sure / (1 - sure))


def _outputs(logits: np.ndarray, activation: str) -> np.ndarray:
    if activation == "softmax":
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)
    return 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
