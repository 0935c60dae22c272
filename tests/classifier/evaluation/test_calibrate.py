from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from classifier.contract import ModelSpec, Slot
from classifier.evaluation.calibrate import (
    fit_calibration,
    fit_cam_scale,
    fit_low_confidence,
    fit_thresholds,
    recalibrated,
)
from classifier.networks.registry import probabilities_of

RNG = np.random.default_rng(0)


def overconfident(activation: str, factor: float, cases: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities from logits `factor` times too large, and targets drawn from the right ones."""
    logits = RNG.normal(0, 1.5, (cases, 3))
    if activation == "sigmoid":
        right = 1 / (1 + np.exp(-logits))
        return 1 / (1 + np.exp(-factor * logits)), (RNG.uniform(size=right.shape) < right).astype(float)
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    powers = np.exp(factor * logits)
    drawn = [RNG.choice(3, p=p) for p in right]
    return powers / powers.sum(axis=1, keepdims=True), np.eye(3)[drawn]


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
def test_the_temperature_undoes_false_confidence(activation, factor):
    probabilities, targets = overconfident(activation, factor)
    for method in ("temperature", "bias"):
        temperature, bias = fit_calibration(probabilities, targets, activation, method=method)
        assert temperature == pytest.approx(factor, rel=0.15)
        assert bias == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_findings_drawn_alike_in_training_get_their_true_share_back(activation):
    true = np.array([0.8, -0.3, -0.5])
    probabilities, _ = overconfident(activation, 1.0)
    right = recalibrated(probabilities, 2.0, true, activation)
    if activation == "softmax":
        targets = np.eye(3)[[RNG.choice(3, p=p) for p in right]]
    else:
        targets = (RNG.uniform(size=right.shape) < right).astype(float)
    temperature, bias = fit_calibration(probabilities, targets, activation)
    assert temperature == pytest.approx(2.0, rel=0.15)
    assert bias - bias.mean() == pytest.approx(true - true.mean(), abs=0.2)
    kept = fit_calibration(probabilities, targets, activation, method="temperature")[1]
    assert not kept.any()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_temperature_of_one_changes_nothing(activation):
    probabilities, _ = overconfident(activation, 1.0, cases=50)
    assert recalibrated(probabilities, 1.0, 0.0, activation) == pytest.approx(probabilities, abs=1e-6)


def test_calibration_without_cases_is_refused():
    with pytest.raises(ValueError, match="no cases"):
        fit_calibration(np.zeros((0, 3)), np.zeros((0, 3)), "softmax")


def test_a_threshold_is_stored_with_what_it_gave():
    scores = np.array([[0.1], [0.2], [0.6], [0.4], [0.5], [0.9]])
    targets = np.array([[0], [0], [0], [1], [1], [1]])
    fitted = fit_thresholds(scores, targets, ["opacity"])["opacity"]
    assert 0.2 < fitted["threshold"] < 0.4
    assert (fitted["sensitivity"], fitted["specificity"]) == (1.0, pytest.approx(2 / 3))


def test_no_threshold_beats_the_one_that_was_chosen():
    scores = RNG.uniform(size=(300, 1))
    targets = (RNG.uniform(size=(300, 1)) < scores).astype(float)
    fitted = fit_thresholds(scores, targets, ["opacity"])["opacity"]
    for threshold in np.linspace(0, 1, 101):
        stated, present = scores[:, 0] >= threshold, targets[:, 0] == 1
        youden = stated[present].mean() + (~stated[~present]).mean()
        assert youden <= fitted["sensitivity"] + fitted["specificity"] + 1e-9


def test_a_finding_that_every_case_has_gets_no_threshold():
    with pytest.raises(ValueError, match="'opacity'"):
        fit_thresholds(np.ones((3, 1)), np.ones((3, 1)), ["opacity"])


def test_the_map_scale_is_the_99th_percentile_of_what_speaks_for_the_finding():
    grids = [{"a": [[-5.0, value]], "b": [[100.0, 100.0]]} for value in np.linspace(0.01, 1, 100)]
    assert fit_cam_scale(grids, ["a"] * 100) == pytest.approx(np.percentile(np.linspace(0.01, 1, 100), 99))
    assert fit_cam_scale([{"a": [[-1.0]]}], ["a"]) == 1.0


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_what_was_fitted_is_what_the_model_then_states(activation):
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    plain = ModelSpec(name="a", slot=Slot.CXR, findings=("x", "y", "z"), activation=activation)
    moved = replace(plain, temperature=1.7, bias={"x": 0.4, "z": -1.2})
    raw = probabilities_of(logits, plain).numpy()
    expected = recalibrated(raw, 1.7, np.array([0.4, 0.0, -1.2]), activation)
    assert probabilities_of(logits, moved).numpy() == pytest.approx(expected, abs=1e-5)
    assert ModelSpec.from_json(moved.to_json()) == moved


@pytest.mark.parametrize("bias", ['{"gout": 1}', '{"x": 1e999}', '{"x": "a"}', "[1]", '"ab"', "3"])
def test_biases_that_are_none_are_refused(bias):
    text = ModelSpec(name="a", slot=Slot.CXR, findings=("x", "y")).to_json()
    with pytest.raises(ValueError):  # noqa: PT011
        ModelSpec.from_json(text.replace('"bias": {}', f'"bias": {bias}'))


def test_results_no_better_than_a_coin_are_withheld():
    rng = np.random.default_rng(0)
    uncertainty = rng.permutation(np.linspace(0, 1, 1000))
    right = rng.random(1000) < np.where(uncertainty > 0.94, 0.35, 0.9)
    found = fit_low_confidence(uncertainty, right)
    above = uncertainty > found["limit"]
    assert 0.9 <= found["limit"] <= 0.95
    assert found["withheld"] == pytest.approx(above.mean())
    assert found["right_above"] == pytest.approx(right[above].mean())
    assert found["right_above"] <= 0.5 < found["right_below"] == pytest.approx(right[~above].mean())


def test_a_model_whose_doubtful_results_are_mostly_right_withholds_none():
    uncertainty = np.linspace(0, 1, 500)
    assert fit_low_confidence(uncertainty, np.arange(500) % 3 > 0) is None


@pytest.mark.parametrize("count", [1, 30, 199])
def test_too_few_cases_set_no_limit(count):
    assert fit_low_confidence(np.linspace(0, 1, count), np.zeros(count, bool)) is None


def test_at_most_a_tenth_is_withheld_and_equal_uncertainties_stay_together():
    found = fit_low_confidence(np.linspace(0, 1, 1000), np.zeros(1000, bool))
    assert found["withheld"] == pytest.approx(0.1)
    tied = np.r_[np.linspace(0, 0.5, 850), np.full(150, 0.9)]
    assert fit_low_confidence(tied, np.zeros(1000, bool)) is None


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_few_cases_that_are_distinguished_do_not_make_a_model_certain(activation):
    first = np.r_[np.linspace(0.55, 0.9, 12), np.linspace(0.1, 0.45, 12)]
    probabilities, targets = np.c_[first, 1 - first], np.repeat(np.eye(2), 12, axis=0)
    temperature, bias = fit_calibration(probabilities, targets, activation)
    fitted = recalibrated(probabilities, temperature, bias, activation)
    assert temperature > 0.3
    assert (targets * fitted).sum(axis=1).mean() < 13 / 14  # one error among them would be no surprise
