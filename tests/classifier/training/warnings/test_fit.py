"""The distance from the training images and the recognition of mirrored ones, fitted on made-up features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from sklearn.decomposition import PCA

from classifier.contract import ModelSpec, Slot
from classifier.errors import ArtifactError
from classifier.networks.feature_measures import load_feature_measures
from classifier.training.other_abnormality.cases import Cases
from classifier.training.other_abnormality.scores import SHRINKAGE
from classifier.training.warnings.fit import fit_cases

CHANNELS, FINDINGS = 12, ("normal", "pneumonia")
SPEC = ModelSpec(name="tiny", slot=Slot.CXR, findings=FINDINGS, layers=(1, 1, 1, 1), width=8, size=64)


def cases(count: int, seed: int, *, mirrored: float = 0.0, scale: float = 1.0) -> Cases:
    """Features of two findings, three units apart; the last feature is the side of the heart."""
    rng = np.random.default_rng(seed)
    finding = rng.integers(0, 2, count)
    pooled = rng.normal(size=(count, CHANNELS)) * np.linspace(0.01, 30, CHANNELS) * scale
    pooled[:, 3] += 3 * finding * pooled[:, 3].std()
    pooled[:, -1] = rng.normal(1 - 2 * mirrored, 0.25, count)
    empty = np.zeros(count, bool)
    return Cases(
        pooled=pooled.astype(np.float32),
        logits=np.zeros((count, 2), np.float32),
        findings=np.array(FINDINGS)[finding],
        other=empty,
        reported=empty,
        sources=np.full(count, "a"),
        patients=np.arange(count).astype(str),
        parts=np.full(count, "train"),
    )


@pytest.fixture(scope="module")
def fitted():
    return fit_cases(SPEC, cases(600, 0), cases(400, 1), cases(600, 0, mirrored=1), cases(400, 1, mirrored=1))


def test_the_distance_is_the_mahalanobis_distance_to_the_nearest_finding(fitted):
    train, new = cases(600, 0), cases(20, 2, scale=3).pooled.astype(float)
    pca = PCA(whiten=True).fit(train.pooled.astype(float))
    z, at = pca.transform(train.pooled.astype(float)), pca.transform(new)
    centres = [z[train.findings == name].mean(axis=0) for name in FINDINGS]
    residuals = np.concatenate([z[train.findings == n] - c for n, c in zip(FINDINGS, centres, strict=True)])
    covariance = (1 - SHRINKAGE) * np.cov(residuals.T) + SHRINKAGE * np.eye(z.shape[1])
    inverse = np.linalg.inv(covariance)
    expected = [min(mahalanobis(one, centre, inverse) for centre in centres) for one in at]
    assert fitted.measures.distance(new) * np.sqrt(z.shape[1]) == pytest.approx(expected, rel=0.01)


def test_the_limits_are_those_that_validation_images_seldom_pass(fitted):
    validation = cases(400, 1).pooled
    distances = fitted.measures.distance(validation)
    assert (distances > fitted.limits.distance.warning).mean() == pytest.approx(0.025, abs=0.003)
    assert (distances > fitted.limits.distance.withheld).mean() <= 0.01
    assert (fitted.measures.mirrored(validation) > fitted.limits.mirrored.warning).mean() <= 0.01
    assert fitted.limits.percentile(float(np.median(distances))) in (50, 51)


def test_mirrored_images_that_were_not_fitted_on_are_recognised(fitted):
    found = fitted.measures.mirrored(cases(400, 3, mirrored=1).pooled) > fitted.limits.mirrored.warning
    assert found.mean() > 0.95
    assert fitted.report["mirrored"]["auc"] > 0.99


def test_images_unlike_the_training_images_are_far(fitted):
    far = fitted.measures.distance(cases(100, 4, scale=4).pooled)
    assert (far > fitted.limits.distance.withheld).mean() > 0.9


def test_a_model_of_other_images_than_chest_x_rays_has_no_limits_of_lungs_and_sides():
    spec = ModelSpec(name="tiny", slot=Slot.PHANTOM, findings=FINDINGS)
    limits = fit_cases(spec, cases(60, 0), cases(40, 1), cases(60, 0), cases(40, 1)).limits
    assert (limits.inside_lungs, limits.mirrored, dict(limits.not_before)) == (None, None, {})
    assert limits.distance is not None


def test_the_measures_are_the_same_from_the_half_precision_of_a_file(fitted):
    state = fitted.measures.state()
    state = {name: t.half().float() if t.ndim > 1 else t for name, t in state.items()}
    loaded, new = load_feature_measures(state, CHANNELS, 2), cases(50, 5).pooled
    assert loaded.distance(new) == pytest.approx(fitted.measures.distance(new), rel=0.01)
    assert loaded.mirrored(new) == pytest.approx(fitted.measures.mirrored(new), abs=0.001)


@pytest.mark.parametrize("change", [{"centre": None}, {"axes": (CHANNELS + 1, 12)}, {"bank": (3, CHANNELS)}])
def test_measures_of_another_classifier_are_refused(fitted, change):
    state = fitted.measures.state() | {k: torch.zeros(shape) for k, shape in change.items() if shape}
    state = {name: tensor for name, tensor in state.items() if change.get(name, 0) is not None}
    with pytest.raises(ArtifactError, match="warning-limits"):
        load_feature_measures(state, CHANNELS, 2)
