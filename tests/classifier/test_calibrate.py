from __future__ import annotations

import numpy as np
import pytest

from classifier.calibrate import at_temperature, fit_cam_scale, fit_temperature, fit_thresholds

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
    assert fit_temperature(probabilities, targets, activation) == pytest.approx(factor, rel=0.15)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_temperature_of_one_changes_nothing(activation):
    probabilities, _ = overconfident(activation, 1.0, cases=50)
    assert at_temperature(probabilities, 1.0, activation) == pytest.approx(probabilities, abs=1e-6)


def test_calibration_without_cases_is_refused():
    with pytest.raises(ValueError, match="no cases"):
        fit_temperature(np.zeros((0, 3)), np.zeros((0, 3)), "softmax")


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
        said, present = scores[:, 0] >= threshold, targets[:, 0] == 1
        youden = said[present].mean() + (~said[~present]).mean()
        assert youden <= fitted["sensitivity"] + fitted["specificity"] + 1e-9


def test_a_finding_that_every_case_has_gets_no_threshold():
    with pytest.raises(ValueError, match="'opacity'"):
        fit_thresholds(np.ones((3, 1)), np.ones((3, 1)), ["opacity"])


def test_the_map_scale_is_the_99th_percentile_of_what_speaks_for_the_finding():
    grids = [{"a": [[-5.0, value]], "b": [[100.0, 100.0]]} for value in np.linspace(0.01, 1, 100)]
    assert fit_cam_scale(grids, ["a"] * 100) == pytest.approx(np.percentile(np.linspace(0.01, 1, 100), 99))
    assert fit_cam_scale([{"a": [[-1.0]]}], ["a"]) == 1.0
