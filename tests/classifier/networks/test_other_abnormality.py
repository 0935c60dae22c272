"""The score of other abnormalities withholds reported findings, from features that are there anyway."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from classifier.artifact.weights import load_artifact, resave, save_artifact
from classifier.contract import ModelSpec, Slot, predict_from
from classifier.errors import KEY_MISMATCH, ArtifactError
from classifier.inference.predictor import Input, Predictor
from classifier.networks.other_abnormality import OtherAbnormality, load_other_abnormality
from classifier.networks.registry import network_for
from classifier.reasons import AbstentionReason
from classifier.result_warnings import Measures

SPEC = ModelSpec(
    name="tiny", slot=Slot.CXR, findings=("normal", "pneumonia"), layers=(1, 1, 1, 1), width=4, size=64,
    other_abnormality=0.6,
)  # fmt: skip
CHANNELS = 4 * 4 * 8
SURE = {"normal": 0.1, "pneumonia": 0.9}


def test_the_score_of_fixed_features_is_a_fixed_number():
    score = OtherAbnormality(np.array([0.5, -1.0, 2.0], np.float32), bias=-0.25)
    assert score.score(np.array([1.0, 0.5, 0.25], np.float32)) == pytest.approx(1 / (1 + np.exp(-0.25)))


@pytest.mark.parametrize(
    ("probabilities", "score", "reason"),
    [
        (SURE, 0.61, AbstentionReason.OTHER_ABNORMALITY),
        (SURE, 0.6, None),
        (SURE, None, None),
        (SURE, float("nan"), AbstentionReason.OTHER_ABNORMALITY),
        ({"normal": 0.9, "pneumonia": 0.1}, 0.99, None),
        ({"normal": 0.4, "pneumonia": 0.4}, 0.99, None),
    ],
)
def test_only_a_reported_finding_other_than_normal_is_withheld(probabilities, score, reason):
    prediction = predict_from(SPEC, probabilities, measures=Measures(other_abnormality=score))
    assert prediction.abstention is reason
    assert prediction.probabilities == probabilities


def test_other_reasons_come_first_and_low_confidence_after():
    spec = replace(SPEC, age_range=(18, 90), low_confidence=0.1)
    lateral, high = AbstentionReason.LATERAL_VIEW, {"measures": Measures(other_abnormality=0.9)}
    assert predict_from(spec, SURE, abstention=lateral, **high).abstention is lateral
    assert predict_from(spec, SURE, age=3, **high).abstention is AbstentionReason.OUT_OF_POPULATION
    assert predict_from(spec, SURE, **high).abstention is AbstentionReason.OTHER_ABNORMALITY
    assert (
        predict_from(spec, SURE, measures=Measures(other_abnormality=0.1)).abstention
        is AbstentionReason.LOW_CONFIDENCE
    )


def test_a_model_without_a_limit_withholds_nothing():
    assert not predict_from(
        replace(SPEC, other_abnormality=None), SURE, measures=Measures(other_abnormality=1.0)
    ).withheld


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = network_for(SPEC).eval()
    with torch.no_grad():
        network.fc.bias.copy_(torch.tensor([-5.0, 5.0]))
    return network


def images(count: int) -> list[Input]:
    rng = np.random.default_rng(0)
    return [Input(rng.integers(0, 65536, (80, 80), dtype=np.uint16), (80, 80)) for _ in range(count)]


def test_it_comes_from_the_artifact_and_the_pooled_features(network, tmp_path):
    weight = np.random.default_rng(1).normal(size=CHANNELS).astype(np.float32)
    plain = tmp_path / "plain"
    save_artifact(plain, spec=SPEC, classifier_state=network.state_dict(), card={}, storage="fp32")
    without = Predictor(load_artifact(plain)).predict(images(4))
    assert all(result.prediction.measures.other_abnormality is None for result in without)
    middle = float(np.median([weight @ result.pooled for result in without]))
    state = OtherAbnormality(weight, float(np.log(0.6 / 0.4)) - middle).state()
    parts = {"classifier_state": network.state_dict(), "storage": "fp32", "other_abnormality": state}
    save_artifact(tmp_path / "scored", spec=SPEC, card={}, **parts)
    resave(tmp_path / "again", load_artifact(tmp_path / "scored"))
    assert (tmp_path / "again").read_bytes() == (tmp_path / "scored").read_bytes()
    assert (tmp_path / "again").stat().st_size - plain.stat().st_size < 2000
    found = Predictor(load_artifact(tmp_path / "again")).predict(images(4))
    reasons = [result.prediction.abstention for result in found]
    assert sorted(reasons, key=str) == [None] * 2 + [AbstentionReason.OTHER_ABNORMALITY] * 2
    for result, bare in zip(found, without, strict=True):
        logit = weight.astype(float) @ bare.pooled + float(state["bias"])
        assert result.prediction.measures.other_abnormality == pytest.approx(1 / (1 + np.exp(-logit)))
        assert result.prediction.probabilities == bare.prediction.probabilities


@pytest.mark.parametrize(
    "state",
    [
        {"weight": torch.zeros(CHANNELS + 1), "bias": torch.zeros(1)},
        {"weight": torch.zeros(CHANNELS)},
        {"weight": torch.zeros(CHANNELS), "bias": torch.zeros(1), "bank": torch.zeros(3, CHANNELS)},
    ],
)
def test_the_score_of_another_network_is_refused(state):
    with pytest.raises(ArtifactError, match="fit it again") as refused:
        load_other_abnormality(state, CHANNELS)
    assert refused.value.code == KEY_MISMATCH
