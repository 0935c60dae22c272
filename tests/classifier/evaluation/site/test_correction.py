"""Recalibration and prevalence at a site, compared with scikit-learn, scipy and numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from classifier.evaluation.calibrate import fit_calibration
from classifier.evaluation.calibrate import recalibrated as recalibrated_by_scipy
from classifier.evaluation.site import correction as site
from classifier.evaluation.site.correction import Correction, corrected, estimated_prevalence, fit, shifted

FINDINGS = ("normal", "pneumonia", "covid19")


def cases(activation: str, count: int, *, factor: float = 2.0, seed: int = 0):
    """Probabilities too sure by `factor` and off by a bias, targets drawn from the right ones, all known."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (count, 3))
    off = factor * logits + np.array([0.6, -0.3, 0.0])
    if activation == "sigmoid":
        right = 1 / (1 + np.exp(-logits))
        return 1 / (1 + np.exp(-off)), (rng.uniform(size=right.shape) < right).astype(float)
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = np.eye(3)[[rng.choice(3, p=p) for p in right]]
    return np.exp(off) / np.exp(off).sum(axis=1, keepdims=True), targets


def everything(targets: np.ndarray) -> np.ndarray:
    return np.ones(targets.shape, bool)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_temperature_is_the_one_that_scipy_finds(activation):
    probabilities, targets = cases(activation, 400)
    found = fit("temperature", probabilities, targets, everything(targets), FINDINGS, activation)
    temperature, bias = fit_calibration(probabilities, targets, activation)
    assert found.temperature == pytest.approx(temperature, rel=2e-3)
    ours = site.recalibrated(probabilities, found, FINDINGS, activation)
    assert ours == pytest.approx(
        recalibrated_by_scipy(probabilities, temperature, bias, activation), abs=2e-3
    )


def test_what_is_unknown_of_a_scan_does_not_count_against_it():
    probabilities, targets = cases("sigmoid", 400)
    known = everything(targets)
    known[:200, 2] = False
    spoilt = np.where(known, targets, 1 - targets)
    found = fit("temperature", probabilities, targets, known, FINDINGS, "sigmoid")
    assert found == fit("temperature", probabilities, spoilt * known, known, FINDINGS, "sigmoid")


def test_softmax_uses_scans_with_exactly_one_finding_and_none_unknown():
    targets = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0], [0, 1, 0]])
    known = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 0]], bool)
    assert site.settled(targets, known, "softmax").tolist() == [True, False, False, False]
    assert site.settled(targets, known, "sigmoid").all()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_steps_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(size=800).round(2)
    targets = (rng.uniform(size=800) < 0.1 + 0.8 * scores**2).astype(float)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, targets)
    before, after = site.isotonic_steps(scores, targets)
    assert before == theirs.X_thresholds_.tolist()
    # Theirs reaches 0 and 1; ours stops short of certainty.
    assert after == pytest.approx(np.clip(theirs.y_thresholds_, 1 / 802, 801 / 802), abs=1e-9)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_isotonic_probabilities_rise_sum_to_one_and_are_never_certain(activation):
    probabilities, targets = cases(activation, 900)
    found = fit("isotonic", probabilities, targets, everything(targets), FINDINGS, activation)
    ours = corrected(probabilities, found, FINDINGS, activation)
    assert ((ours > 0) & (ours < 1)).all()
    if activation == "softmax":
        assert ours.sum(axis=1) == pytest.approx(np.ones(900))
    mean = targets.mean(axis=0)
    assert ours.mean(axis=0) == pytest.approx(mean, abs=0.03)


@pytest.mark.parametrize(
    ("recalibration", "count", "text"),
    [("temperature", 49, "needs 50 scans"), ("isotonic", 499, "needs 500 scans")],
)
def test_too_few_labelled_scans_are_refused_with_the_number(recalibration, count, text):
    probabilities, targets = cases("softmax", count)
    with pytest.raises(ValueError, match=f"{text}.*there are {count}"):
        fit(recalibration, probabilities, targets, everything(targets), FINDINGS, "softmax")


def test_a_finding_that_few_scans_have_is_refused_by_its_name():
    probabilities, targets = cases("softmax", 300)
    kept = np.flatnonzero((targets[:, 1] == 0) | (np.cumsum(targets[:, 1]) <= 9))
    p, y = probabilities[kept], targets[kept]
    with pytest.raises(ValueError, match="for pneumonia there are 9 with"):
        fit("temperature", p, y, everything(y), FINDINGS, "softmax")


def test_the_prevalence_worked_out_by_hand():
    """A test of sensitivity and specificity 0.8 that calls 7 of 20: (7/20 - 0.2) / (0.8 - 0.2) = 0.25."""
    probabilities = np.array([[0.8, 0.2]] * 7 + [[0.2, 0.8]] * 13)
    found = estimated_prevalence(probabilities, np.array([0.5, 0.5]), "softmax")
    assert found == pytest.approx([0.25, 0.75], abs=1e-4)
    alone = estimated_prevalence(probabilities[:, :1], np.array([0.5]), "sigmoid")
    assert alone == pytest.approx([0.25], abs=1e-4)


def test_the_first_step_of_the_estimate_by_hand(monkeypatch):
    monkeypatch.setattr(site, "EM_STEPS", 2)
    probabilities = np.array([[0.8, 0.2]] * 7 + [[0.2, 0.8]] * 13)
    # 0.41 after one step; then 0.8 -> 0.82*0.8 / (0.82*0.8 + 1.18*0.2) = 0.73543, 0.2 -> 0.14801.
    expected = (7 * 0.735426 + 13 * 0.148014) / 20
    found = estimated_prevalence(probabilities, np.array([0.5, 0.5]), "softmax")
    assert found[0] == pytest.approx(expected, abs=1e-5)


def test_the_prevalence_of_a_shifted_stream_is_found_again_in_every_draw():
    rng = np.random.default_rng(3)
    ground_truth = rng.choice(3, p=[0.85, 0.1, 0.05], size=6000)
    logits = rng.normal(0, 1, (6000, 3)) + 2.5 * np.eye(3)[ground_truth]
    # Right under equal shares: the log density ratio of the normals is 2.5 times the logit.
    powers = np.exp(2.5 * logits)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    prior = np.full(3, 1 / 3)
    found = estimated_prevalence(probabilities, prior, "softmax")
    assert found == pytest.approx(np.bincount(ground_truth) / 6000, abs=0.015)
    drawn = estimated_prevalence(probabilities, prior, "softmax", weights=np.ones((2, 6000)), start=found)
    assert drawn == pytest.approx(np.stack([found, found]), abs=1e-4)


def test_a_shift_is_bayes_theorem():
    """Odds of 1 at a prevalence of 0.5 are odds of 0.1 / 0.9 at one of 0.1."""
    assert shifted(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), np.array([0.1, 0.9]), "softmax")[
        0
    ] == pytest.approx([0.1, 0.9])
    # Odds of 1 where 0.1 was assumed are a likelihood ratio of 9.
    back = shifted(np.array([[0.5, 0.5]]), np.array([0.1, 0.9]), np.array([0.5, 0.5]), "softmax")
    assert back[0] == pytest.approx([0.9, 0.1])
    one = shifted(np.array([[0.5]]), np.array([0.5]), np.array([0.1]), "sigmoid")
    assert one[0] == pytest.approx([0.1])


def test_recalibrated_probabilities_assume_the_prevalence_of_the_labelled_scans():
    probabilities, targets = cases("softmax", 2000)
    found = fit("temperature", probabilities, targets, everything(targets), FINDINGS, "softmax")
    assert list(found.prior.values()) == pytest.approx(targets.mean(axis=0), abs=0.01)


def test_a_correction_survives_being_stored_as_json():
    import json

    probabilities, targets = cases("softmax", 900)
    fitted = fit("isotonic", probabilities, targets, everything(targets), FINDINGS, "softmax")
    moved = Correction(**vars(fitted) | {"prevalence": {"normal": 0.8, "pneumonia": 0.15, "covid19": 0.05}})
    again = Correction.from_dict(json.loads(json.dumps(moved.as_dict())))
    assert corrected(probabilities, again, FINDINGS, "softmax") == pytest.approx(
        corrected(probabilities, moved, FINDINGS, "softmax")
    )
    assert moved.changes
    assert not Correction().changes


def test_without_a_correction_the_probabilities_are_the_models_own():
    probabilities, _ = cases("softmax", 10)
    assert corrected(probabilities, Correction(), FINDINGS, "softmax") is probabilities
