"""Fits what an artifact needs for its warnings: distance from the training images, and mirrored images.

Both are fitted on the train part and limited by the validation part, from a classifier's pooled features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from classifier.artifact.weights import Artifact
from classifier.contract import ModelSpec, Slot
from classifier.data.image_cache import prepare, preprocessing_for
from classifier.data.manifest import Row
from classifier.evaluation import metrics
from classifier.inference.auxiliary import lung_boxes
from classifier.networks.feature_measures import FeatureMeasures
from classifier.result_warnings import Limit, WarningLimits
from classifier.training.other_abnormality.cases import Cases, cases_of
from classifier.training.other_abnormality.gather import LEARNED, drawn
from classifier.training.other_abnormality.scores import SHRINKAGE, Subspace

MOST = 1500  # images of each part
STRENGTH = 0.01  # of the logistic regression: the inverse of the L2 penalty
UNUSUAL, FAR = 97.5, 1.25  # percentile of validation images; times their 99th percentile
MIRRORED_FOR_NOTHING = 0.01  # largest share of validation images that are taken for mirrored
INSIDE_LUNGS = Limit(0.5, 0.35)
# The first cluster of COVID-19 was in December 2019 (WHO, Disease Outbreak News, 5 January 2020).
NOT_BEFORE = {"covid19": "2019-12-01"}


class Fitted(NamedTuple):
    """The measures, the limits of their warnings, and the report for the card."""

    measures: FeatureMeasures
    limits: WarningLimits
    report: dict[str, Any]


def with_warnings(artifact: Artifact, fitted: Fitted, card_key: str) -> Artifact:
    """The artifact with the measures, their limits, and the report in its card."""
    return replace(
        artifact,
        warning_limits=fitted.measures.state(),
        spec=replace(artifact.spec, warning_limits=fitted.limits),
        card={**artifact.card, card_key: fitted.report},
    )


def fit(
    artifact: Artifact, rows: Sequence[Row], cache: Path, *, device: str, seed: int = 0, quiet: bool = False
) -> Fitted:
    """Fit on the rows of the train and validation parts, at most MOST of each, evenly over their strata.

    Prepared images are kept in the folder `cache`. Raises ValueError where a part has no usable image.
    """
    preprocessing = preprocessing_for(artifact.spec, **lung_boxes(artifact.spec, artifact.segmenter))
    cases, turned = {}, {}
    for part in LEARNED:
        chosen = drawn(rows, part, MOST, seed=seed)
        ready = prepare(chosen, preprocessing, cache, slot=artifact.spec.slot, progress=not quiet)
        usable = [place for place, row in enumerate(chosen) if row.image not in ready.refused]
        if not usable:
            raise ValueError(f"the {part} part has no usable image with a known finding")
        images, known = np.asarray(ready.images[usable]), [chosen[place] for place in usable]
        cases[part] = cases_of(artifact, known, images, device, quiet=quiet)
        turned[part] = cases_of(artifact, known, images[..., ::-1].copy(), device, quiet=quiet)
    return fit_cases(artifact.spec, *(cases[part] for part in LEARNED), *(turned[part] for part in LEARNED))


def fit_cases(spec: ModelSpec, train: Cases, val: Cases, train_turned: Cases, val_turned: Cases) -> Fitted:
    """`fit` on images of both parts, and on the same images mirrored."""
    subspace = Subspace.of(train.pooled)
    axes, centres = _whitened(train, subspace)
    weight, bias = _mirrored(train.pooled, train_turned.pooled)
    measures = FeatureMeasures(subspace.centre, axes, centres, weight, bias)
    distances = measures.distance(val.pooled)
    mirrored, right_way = measures.mirrored(val_turned.pooled), measures.mirrored(val.pooled)
    scores, turned = np.concatenate([mirrored, right_way]), np.arange(2 * len(val)) < len(val)
    from_here = max(0.5, float(np.quantile(right_way, 1 - MIRRORED_FOR_NOTHING)))
    percentiles = tuple(np.percentile(distances, range(101)).round(4).tolist())
    chest = spec.slot is Slot.CXR
    limits = WarningLimits(
        inside_lungs=INSIDE_LUNGS if chest else None,
        distance=Limit(float(np.percentile(distances, UNUSUAL)), FAR * percentiles[99]),
        mirrored=Limit(from_here) if chest else None,
        distances=percentiles,
        not_before={finding: day for finding, day in NOT_BEFORE.items() if finding in spec.findings},
    )
    report = {
        "images": {"train": len(train), "val": len(val)},
        "unusual": float((distances > limits.distance.warning).mean()) if limits.distance else None,
        "mirrored": {
            "limit": from_here,
            "auc": float(metrics.auc(scores, turned, np.ones(len(scores)))),
            "found": float((mirrored > from_here).mean()),
            "for_nothing": float((right_way > from_here).mean()),
        }
        if chest
        else None,
    }
    return Fitted(measures, limits, report)


def _whitened(train: Cases, subspace: Subspace) -> tuple[np.ndarray, np.ndarray]:
    """Axes (channels, k) that whiten within the findings, and the findings' centres (findings, k) on them."""
    z = subspace(train)
    names = np.unique(train.findings)
    centres = np.stack([z[train.findings == name].mean(axis=0) for name in names])
    residuals = z - centres[np.searchsorted(names, train.findings)]
    covariance = (1 - SHRINKAGE) * np.cov(residuals.T) + SHRINKAGE * np.eye(z.shape[1])
    whiten = np.linalg.inv(np.linalg.cholesky(covariance)).T
    return subspace.axes @ whiten, centres @ whiten


def _mirrored(pooled: np.ndarray, turned: np.ndarray) -> tuple[np.ndarray, float]:
    """Weight (channels,) and bias of a logistic regression of mirrored against other images."""
    from sklearn.linear_model import LogisticRegression

    both = np.concatenate([pooled, turned]).astype(np.float64)
    centre, scale = both.mean(axis=0), both.std(axis=0)
    scale[scale == 0] = 1
    model = LogisticRegression(C=STRENGTH, max_iter=2000)
    model.fit((both - centre) / scale, np.arange(len(both)) >= len(pooled))
    weight = model.coef_[0] / scale
    return weight, float(model.intercept_[0] - centre @ weight)
