"""The gate stops what is no whole frontal chest X-ray, states why, and decides by its own numbers alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from classifier.errors import ArtifactError
from classifier.networks.input_check import (
    KINDS,
    SIZE,
    WIDTHS,
    InputCheck,
    input_check_image,
    load_input_check,
    reason_of,
)
from classifier.reasons import AbstentionReason

FRONTAL = [0.9, 0.04, 0.03, 0.02, 0.01]


def test_a_frontal_image_passes():
    assert reason_of(FRONTAL, 0.8, 0.5) is None


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("lateral", AbstentionReason.LATERAL_VIEW),
        ("cut_off", AbstentionReason.LUNGS_CUT_OFF),
        ("turned", AbstentionReason.OUT_OF_DISTRIBUTION),
        ("other", AbstentionReason.NOT_A_CHEST_XRAY),
    ],
)
def test_the_likeliest_other_kind_states_why_an_image_is_stopped(kind, reason):
    probabilities = [0.4 if name == "frontal" else 0.45 if name == kind else 0.05 for name in KINDS]
    assert reason_of(probabilities, 0.2, 0.5) is reason


def test_an_image_that_is_frontal_but_unlike_all_that_was_seen_is_stopped():
    assert reason_of(FRONTAL, 1.01, 0.5) is AbstentionReason.OUT_OF_DISTRIBUTION


def test_figures_that_are_no_numbers_never_pass():
    nothing = float("nan")
    assert reason_of([nothing] * len(KINDS), 0.1, 0.5) is not None
    assert reason_of(FRONTAL, nothing, 0.5) is AbstentionReason.OUT_OF_DISTRIBUTION


def test_the_distance_is_that_of_mahalanobis():
    rng = np.random.default_rng(0)
    input_check_value = InputCheck().eval()
    spread = rng.normal(size=(WIDTHS[-1], WIDTHS[-1])) / 8 + np.eye(WIDTHS[-1])
    covariance, centre = spread @ spread.T, rng.normal(size=WIDTHS[-1])
    values, vectors = np.linalg.eigh(covariance)
    input_check_value.centre.copy_(torch.from_numpy(centre))
    input_check_value.whitening.copy_(torch.from_numpy(vectors / np.sqrt(values)))
    input_check_value.farthest.fill_(2.0)
    unit = torch.rand(3, 1, SIZE, SIZE)
    away = input_check_value.features(unit).detach().numpy() - centre
    expected = np.sqrt(np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance), away)) / 2
    np.testing.assert_allclose(input_check_value.measure(unit)[1], expected, rtol=1e-3)


def test_a_input_check_comes_back_from_its_tensors_and_judges_alike():
    torch.manual_seed(1)
    input_check_value = InputCheck().eval()
    input_check_value.frontal_from.fill_(0.123)
    again = load_input_check(input_check_value.state_dict())
    unit = torch.rand(2, 1, SIZE, SIZE)
    assert float(again.frontal_from) == pytest.approx(0.123)
    assert all(map(torch.equal, again.measure(unit), input_check_value.measure(unit)))
    assert again.judge(unit) == input_check_value.judge(unit)


@pytest.mark.parametrize("spoil", ["missing", "extra", "shape"])
def test_tensors_that_are_no_input_check_are_refused(spoil):
    state = dict(InputCheck().state_dict())
    if spoil == "missing":
        state.pop("farthest")
    elif spoil == "extra":
        state["more"] = torch.zeros(1)
    else:
        state["centre"] = torch.zeros(3)
    with pytest.raises(ArtifactError, match="key_mismatch"):
        load_input_check(state)


def test_the_input_is_a_unit_square_whatever_the_images_shape():
    unit = input_check_image(np.random.default_rng(0).integers(0, 65535, (300, 70)).astype(np.uint16))
    assert unit.shape == (1, SIZE, SIZE)
    assert unit.min() >= 0
    assert unit.max() <= 1
