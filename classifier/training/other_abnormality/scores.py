"""Candidate scores of other abnormalities, higher where one is more likely; all are fitted on `Cases`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import logsumexp

from classifier.training.input_check.data import draw_shares
from classifier.training.other_abnormality.cases import Cases

COMPONENTS = 64
SHRINKAGE = 0.01  # of covariances, towards that of all images together
STRENGTH = 0.03  # of the logistic regression: the inverse of the L2 penalty
BANK, NEIGHBOUR = 2000, 10
EVENNESS = 0.5

Score = Callable[[Cases], np.ndarray]  # cases to scores (N,)


@dataclass(frozen=True)
class Subspace:
    """Principal components of pooled features, each with unit variance: `centre` (channels,), `axes`
    (channels, k)."""

    centre: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, pooled: np.ndarray) -> Subspace:
        centre = pooled.mean(axis=0, dtype=np.float64)
        centred = torch.from_numpy((pooled - centre).astype(np.float32))
        count = min(COMPONENTS, *pooled.shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _, values, axes = torch.svd_lowrank(centred, q=min(2 * count, *pooled.shape), niter=4)
        values, axes = values[:count].double().numpy(), axes[:, :count].double().numpy()
        return cls(centre, axes * np.sqrt(len(pooled)) / np.maximum(values, 1e-6 * values[0]))

    def __call__(self, cases: Cases) -> np.ndarray:
        return (cases.pooled - self.centre) @ self.axes


def even_weights(cases: Cases) -> np.ndarray:
    """Weights (N,) that sum to N: other and known images count the same, their sources more evenly."""
    weights = np.zeros(len(cases))
    for group in (cases.other, ~cases.other):
        if group.any():
            weights[group] = draw_shares(cases.sources[group].tolist(), EVENNESS)
    return weights * len(cases) / weights.sum()


def fit_head(cases: Cases, subspace: Subspace) -> tuple[np.ndarray, float]:
    """Weight (channels,) and bias of a logistic regression of other against known images."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=STRENGTH, max_iter=500)
    model.fit(subspace(cases), cases.other, sample_weight=even_weights(cases))
    weight = subspace.axes @ model.coef_[0]
    return weight, float(model.intercept_[0] - subspace.centre @ weight)


def head(cases: Cases, subspace: Subspace) -> Score:
    """Logistic regression, learned from images with other abnormalities."""
    weight, bias = fit_head(cases, subspace)
    return lambda new: new.pooled @ weight + bias


def mahalanobis(cases: Cases, subspace: Subspace) -> Score:
    """Distance from the nearest finding (Lee et al. 2018, arXiv:1807.03888)."""
    of = _distances(cases, subspace)
    return lambda new: of(new)[0]


def relative_mahalanobis(cases: Cases, subspace: Subspace) -> Score:
    """The same, less the distance from all images together (Ren et al. 2021, arXiv:2106.09022)."""
    of = _distances(cases, subspace)
    return lambda new: np.subtract(*of(new))


def _distances(cases: Cases, subspace: Subspace) -> Callable[[Cases], tuple[np.ndarray, np.ndarray]]:
    known = cases.where(~cases.other)
    z = subspace(known)
    centres = {name: z[known.findings == name].mean(axis=0) for name in np.unique(known.findings)}
    middle = z.mean(axis=0)
    residuals = (z - np.stack([centres[name] for name in known.findings]), z - middle)
    inverses = [
        np.linalg.inv((1 - SHRINKAGE) * np.cov(r.T) + SHRINKAGE * np.eye(z.shape[1])) for r in residuals
    ]

    def distances(new: Cases) -> tuple[np.ndarray, np.ndarray]:
        found = subspace(new)
        nearest = np.min([_squared(found - centre, inverses[0]) for centre in centres.values()], axis=0)
        return nearest, _squared(found - middle, inverses[1])

    return distances


def _squared(difference: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    return ((difference @ inverse) * difference).sum(axis=1)


def energy(cases: Cases, subspace: Subspace) -> Score:
    """Energy of the logits (Liu et al. 2020, arXiv:2010.03759); nothing is fitted."""
    return lambda new: -logsumexp(new.logits.astype(np.float64), axis=1)


def nearest_neighbour(cases: Cases, subspace: Subspace) -> Score:
    """Distance to the tenth of the nearest known images (Sun et al. 2022, arXiv:2204.06507).

    For comparison only: an artifact must not store the features of patients' images.
    """
    known = np.flatnonzero(~cases.other)
    bank = cases.pooled[np.random.default_rng(0).permutation(known)[:BANK]]
    bank = bank / np.linalg.norm(bank, axis=1, keepdims=True)

    def distance(new: Cases) -> np.ndarray:
        alike = new.pooled @ bank.T / np.linalg.norm(new.pooled, axis=1, keepdims=True)
        return -np.sort(alike, axis=1)[:, -min(NEIGHBOUR, alike.shape[1])]

    return distance


HEAD = "head"
CANDIDATES: dict[str, Callable[[Cases, Subspace], Score]] = {
    HEAD: head,
    "relative_mahalanobis": relative_mahalanobis,
    "mahalanobis": mahalanobis,
    "energy": energy,
    "nearest_neighbour": nearest_neighbour,
}
