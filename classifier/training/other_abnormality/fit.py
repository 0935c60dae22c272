"""Fits the score of other abnormalities and its limit, and reports on it and on the other candidates.

Every score that counts here is out of fold: its regression has not seen the patient. The limit is fixed, and
its cost measured, on images that the classifier has not learned from either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from classifier.artifact.weights import Artifact
from classifier.data.split import folds
from classifier.evaluation import bootstrap, metrics
from classifier.networks.other_abnormality import OtherAbnormality
from classifier.training.input_check.data import draw_shares
from classifier.training.other_abnormality.cases import Cases
from classifier.training.other_abnormality.scores import (
    CANDIDATES,
    EVENNESS,
    HEAD,
    Subspace,
    energy,
    fit_head,
)

FOLDS = 5
COST = 0.05  # largest share of known images whose result is withheld
COST_REPORTED = 0.1  # of those with a reported finding
FEWEST = 5  # images with and without, for an AUC
Make = Callable[[Cases, Subspace], Callable[[Cases], np.ndarray]]


class Fitted(NamedTuple):
    """The score, the limit above which a reported finding is withheld, and the report for the card."""

    score: OtherAbnormality
    limit: float
    report: dict[str, Any]


def fit(cases: Cases, *, seed: int = 0, draws: int = 1000) -> Fitted:
    """Fit on all cases. Raises ValueError without known images that the classifier has not learned from."""
    if not cases.held_out.any():
        raise ValueError("the limit needs images with known findings outside the train part")
    subspace = Subspace.of(cases.pooled)
    scores = {name: out_of_fold(cases, subspace, make, seed=seed) for name, make in CANDIDATES.items()}
    limits = {name: limit_of(cases, score) for name, score in scores.items()}
    options = {"draws": draws, "seed": seed}
    report = {
        "images": _counts(cases),
        "cost": {"known": COST, "reported": COST_REPORTED},
        "limit": float(expit(limits[HEAD])),
        "candidates": {
            name: {"auc": _aucs(cases, scores[name], **options)}
            | _decisions(cases, scores[name] > limits[name], **options)
            for name in scores
        },
        "left_out": _left_out(cases, subspace, **options),
        "known": _known(cases, scores[HEAD] > limits[HEAD], **options),
    }
    weight, bias = fit_head(cases, subspace)
    return Fitted(OtherAbnormality(weight.astype(np.float32), bias), report["limit"], report)


def with_score(artifact: Artifact, fitted: Fitted, card_key: str) -> Artifact:
    """The artifact with the score, its limit, and the report in its card."""
    return replace(
        artifact,
        other_abnormality=fitted.score.state(),
        spec=replace(artifact.spec, other_abnormality=fitted.limit),
        card={**artifact.card, card_key: fitted.report},
    )


def out_of_fold(cases: Cases, subspace: Subspace, make: Make, *, seed: int) -> np.ndarray:
    """Scores (N,) by fits without the case's patient."""
    if make is energy:
        return energy(cases, subspace)(cases)
    strata = [f"{source}|{other}" for source, other in zip(cases.sources, cases.other, strict=True)]
    fold_of = np.array(folds(cases.patients.tolist(), strata, count=FOLDS, seed=seed))
    scores = np.zeros(len(cases))
    for fold in range(1, FOLDS + 1):
        held = fold_of == fold
        if held.any():
            scores[held] = make(cases.where(~held), subspace)(cases.where(held))
    return scores


def limit_of(cases: Cases, scores: np.ndarray) -> float:
    """The lowest limit within COST and COST_REPORTED on held-out known images, sources made more even."""
    held = cases.held_out
    shares = draw_shares(cases.sources[held].tolist(), EVENNESS)
    reported = cases.reported[held]
    if not reported.any():
        return float("inf")
    above, cost = scores[held][reported], shares[reported]
    order = np.argsort(-above)
    allowed = np.cumsum(cost[order]) <= min(COST, COST_REPORTED * cost.sum())
    return float(above[order][np.argmin(allowed)])


def _aucs(cases: Cases, scores: np.ndarray, **options: Any) -> dict[str, Any]:
    """Other against known images of the same origin, where there are both, and against all held-out ones.

    Only the first compares like with like: the image alone may identify an origin.
    """
    groups = {str(source): cases.sources == source for source in np.unique(cases.sources[cases.other])}
    groups["all"] = np.ones(len(cases), bool)
    found = {}
    for name, group in groups.items():
        used = group & (cases.other | cases.held_out)
        positive = cases.other[used]
        if min(positive.sum(), (~positive).sum()) < FEWEST:
            continue
        area = lambda w, s=scores[used], p=positive: {"auc": metrics.auc(s, p, w)}  # noqa: E731
        found[name] = bootstrap.intervals(area, cases.patients[used], **options)["auc"]
    return found


def _decisions(cases: Cases, above: np.ndarray, **options: Any) -> dict[str, Any]:
    """Of images with other abnormalities, by origin: the shares with a reported finding, and not withheld."""
    return {
        name: _shares(cases, cases.other & group, above, **options)
        for name, group in [("all", cases.other), *_by(cases.sources, cases.other)]
    }


def _known(cases: Cases, above: np.ndarray, **options: Any) -> dict[str, Any]:
    """Of held-out known images, by finding and by origin: the share that is withheld."""
    held = cases.held_out
    groups = [("all", held), *_by(cases.findings, held), *_by(cases.sources, held)]
    return {name: _shares(cases, held & group, above, **options) for name, group in groups}


def _shares(cases: Cases, group: np.ndarray, above: np.ndarray, **options: Any) -> dict[str, Any]:
    patients, reported = cases.patients[group], cases.reported[group]
    shares = {
        "reported": reported,
        "not_withheld": reported & ~above[group],
        "withheld": reported & above[group],
    }
    means = {k: bootstrap.mean_interval(v.astype(float), patients, **options) for k, v in shares.items()}
    return {"images": int(group.sum()), **means}


def _left_out(cases: Cases, subspace: Subspace, **options: Any) -> list[dict[str, Any]]:
    """For each origin, its shares by a score and a limit that were fitted without any of its images."""
    found = []
    for source in np.unique(cases.sources):
        unseen = cases.sources == source
        seen = cases.where(~unseen)
        if not seen.other.any() or not seen.held_out.any():
            continue
        limit = limit_of(seen, out_of_fold(seen, subspace, CANDIDATES[HEAD], seed=options["seed"]))
        above = CANDIDATES[HEAD](seen, subspace)(cases) > limit
        groups = {"other": unseen & cases.other, "known": unseen & cases.held_out}
        shares = {k: _shares(cases, group, above, **options) for k, group in groups.items() if group.any()}
        found.append({"source": str(source), **shares})
    return found


def _counts(cases: Cases) -> list[dict[str, Any]]:
    """Images and patients by origin, of other abnormalities and of known findings."""
    return [
        {
            "source": str(source),
            "other": int((group & cases.other).sum()),
            "known": int((group & ~cases.other).sum()),
            "patients": len(np.unique(cases.patients[group])),
        }
        for source, group in ((name, cases.sources == name) for name in np.unique(cases.sources))
    ]


def _by(values: np.ndarray, group: np.ndarray) -> Sequence[tuple[str, np.ndarray]]:
    return [(str(name), group & (values == name)) for name in np.unique(values[group])]
