"""The input check and lung segmenter of an artifact count in every result; without them nothing changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.artifact.weights import Artifact, load_artifact, save_artifact
from classifier.contract import ModelSpec, Slot
from classifier.errors import KEY_MISMATCH, ArtifactError
from classifier.inference.auxiliary import AuxiliaryNetworks, AuxiliaryResult, lung_boxes
from classifier.inference.predictor import Input, Predictor
from classifier.networks.input_check import KINDS, InputCheck
from classifier.networks.lung_segmenter import SIZE, LungSegmenter
from classifier.networks.preprocess import WHOLE, Box, to_input
from classifier.networks.registry import network_for, probabilities_of
from classifier.reasons import AbstentionReason

SPEC = ModelSpec(
    name="tiny", slot=Slot.CXR, findings=("normal", "pneumonia"), layers=(1, 1, 1, 1), width=8, size=64,
    age_range=(18, 90),
)  # fmt: skip


def input_check_that_sees(kind: str) -> InputCheck:
    input_check_x = InputCheck()
    torch.nn.init.zeros_(input_check_x.head.weight)
    with torch.no_grad():
        input_check_x.head.bias.copy_(torch.tensor([9.0 if name == kind else 0.0 for name in KINDS]))
    input_check_x.farthest.fill_(60000.0)
    return input_check_x


def artifact_with(folder: Path, **parts: torch.nn.Module) -> Artifact:
    torch.manual_seed(0)
    network = network_for(SPEC).eval()
    states = {name: module.state_dict() for name, module in parts.items()}
    save_artifact(folder / "a", spec=SPEC, classifier_state=network.state_dict(), card={}, **states)
    return load_artifact(folder / "a")


def images(count: int) -> list[Input]:
    rng = np.random.default_rng(0)
    return [
        Input(rng.integers(0, 65536, (90 + i, 120), dtype=np.uint16), (900, 1200), 40.0) for i in range(count)
    ]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("frontal", None),
        ("lateral", AbstentionReason.LATERAL_VIEW),
        ("other", AbstentionReason.NOT_A_CHEST_XRAY),
    ],
)
def test_what_the_input_check_sees_decides_whether_the_result_is_withheld(tmp_path, kind, reason):
    predictor = Predictor(artifact_with(tmp_path, input_check=input_check_that_sees(kind)), batch_size=2)
    for result in predictor.predict(images(3)):
        assert result.prediction.abstention is reason
        assert result.prediction.withheld is (reason is not None)
        assert set(result.prediction.probabilities) == {"normal", "pneumonia"}


def test_the_gates_reason_comes_before_the_patients_age(tmp_path):
    (item,) = images(1)
    child = Input(item.working, item.original, 3.0)
    stopped = Predictor(artifact_with(tmp_path, input_check=input_check_that_sees("lateral")))
    passed = Predictor(artifact_with(tmp_path, input_check=input_check_that_sees("frontal")))
    assert stopped.predict([child])[0].prediction.abstention is AbstentionReason.LATERAL_VIEW
    assert passed.predict([child])[0].prediction.abstention is AbstentionReason.OUT_OF_POPULATION


def test_the_share_inside_the_lungs_is_that_of_the_map_that_is_shown(tmp_path):
    grid = np.zeros((4, 4))
    grid[1, 1], grid[1, 3] = 3.0, 1.0
    left_half = np.zeros((2, SIZE, SIZE), np.float32)
    left_half[0, :, : SIZE // 2] = 1.0
    assert AuxiliaryResult(None, left_half).inside_lungs(grid) == pytest.approx(0.75)
    segmenter = LungSegmenter()
    torch.nn.init.zeros_(segmenter.head.weight)
    torch.nn.init.constant_(segmenter.head.bias, 5.0)
    (result,) = Predictor(artifact_with(tmp_path, segmenter=segmenter)).predict(images(1))
    assert result.cam.inside_lungs == pytest.approx(1.0)


def test_an_artifact_without_auxiliary_networks_stops_nothing(tmp_path):
    (result,) = Predictor(artifact_with(tmp_path)).predict(images(1))
    assert result.prediction.abstention is None
    assert result.cam.inside_lungs is None


def test_auxiliary_networks_of_another_make_are_refused_when_the_model_is_loaded(tmp_path):
    artifact = artifact_with(tmp_path, input_check=torch.nn.Linear(2, 2))
    with pytest.raises(ArtifactError, match="key_mismatch"):
        AuxiliaryNetworks(artifact, torch.device("cpu"))


def test_the_input_check_stays_the_same_to_the_bit_through_storing_and_loading(tmp_path):
    torch.manual_seed(3)
    first = artifact_with(tmp_path, input_check=InputCheck()).input_check
    again = InputCheck()
    again.load_state_dict(first)
    second = artifact_with(tmp_path, input_check=again).input_check
    assert all(torch.equal(first[name], second[name]) for name in first)


def lungs_in_the_middle() -> LungSegmenter:
    """ModelPredictions with two lungs, in rows and columns 32 to 96 of 128, whatever it is shown."""

    class Fixed(LungSegmenter):
        def forward(self, images):
            logits = torch.full((len(images), 2, SIZE, SIZE), -9.0)
            logits[:, 0, 32:96, 32:60], logits[:, 1, 32:96, 68:96] = 9.0, 9.0
            return logits

    return Fixed()


@pytest.fixture
def cropping(tmp_path, monkeypatch):
    """A predictor of a model that reads the lungs' box, without a margin."""
    monkeypatch.setattr("classifier.inference.auxiliary.load_segmenter", lambda *_: lungs_in_the_middle())
    spec = replace(SPEC, crop="lungs", crop_margin=0.0, age_range=None)
    torch.manual_seed(0)
    state, lungs = network_for(spec).state_dict(), LungSegmenter().state_dict()
    save_artifact(tmp_path / "c", spec=spec, classifier_state=state, card={}, segmenter=lungs)
    return Predictor(load_artifact(tmp_path / "c"))


def test_a_model_of_lungs_reads_their_box_and_nothing_else(cropping):
    (item,) = images(1)
    (result,) = cropping.predict([item])
    assert result.box == Box(0.25, 22 / 90, 0.75, 68 / 90)  # on the pixels of 90 rows
    next_to = item.working.copy()
    next_to[:20], next_to[70:], next_to[:, :28], next_to[:, 92:] = 0, 65535, 9, 40000
    (same,) = cropping.predict([Input(next_to, item.original)])
    assert same.prediction.probabilities == result.prediction.probabilities
    alone = cropping.network(to_input(item.working[22:68, 30:90], cropping.spec)[None])
    expected = probabilities_of(alone, cropping.spec)[0].tolist()
    assert list(result.prediction.probabilities.values()) == pytest.approx(expected, abs=1e-6)


def test_the_map_of_a_box_lies_where_the_box_does(cropping):
    (item,) = images(1)
    (result,) = cropping.predict([item])
    a, _, left, _, e, top = result.cam.affine
    columns, rows = 2, 2
    edges = [left - a / 2, left + (columns - 0.5) * a, top - e / 2, top + (rows - 0.5) * e]
    assert edges == pytest.approx([300 - 0.5, 900 - 0.5, 220 - 0.5, 680 - 0.5])


def test_an_image_without_lungs_is_read_whole(cropping, monkeypatch):
    empty = np.full((1, 2, SIZE, SIZE), 0.1, np.float32)
    monkeypatch.setattr("classifier.inference.auxiliary.lung_mask", lambda *_: empty)
    (result,) = cropping.predict(images(1))
    assert result.box == WHOLE


def test_a_share_inside_the_lungs_is_of_the_box(tmp_path):
    mask = lungs_in_the_middle()(torch.zeros(1)).sigmoid()[0].numpy()
    box = Box(0.25, 0.25, 0.75, 0.75)
    assert AuxiliaryResult(None, mask, box).inside_lungs(np.ones((1, 1))) == pytest.approx(56 / 64)
    assert AuxiliaryResult(None, mask, box).inside_lungs(np.array([[0.0, 1.0, 0.0]])) == pytest.approx(
        1 - 8 / (64 / 3)
    )
    assert AuxiliaryResult(None, mask).inside_lungs(np.ones((1, 1))) == pytest.approx(56 * 64 / 128**2)


def test_a_model_of_lungs_without_a_segmenter_is_no_model(tmp_path):
    spec = replace(SPEC, crop="lungs")
    save_artifact(tmp_path / "c", spec=spec, classifier_state=network_for(spec).state_dict(), card={})
    with pytest.raises(ArtifactError, match="no segmenter") as refused:
        load_artifact(tmp_path / "c")
    assert refused.value.code == KEY_MISMATCH


def test_what_is_cut_out_for_training_is_what_is_read_later(cropping, monkeypatch):
    boxes = lung_boxes(cropping.spec, LungSegmenter().state_dict())
    (item,) = images(1)
    assert boxes["box_of"](item.working) == cropping.predict([item])[0].box
    assert lung_boxes(SPEC, None) == {}
    with pytest.raises(ValueError, match="--auxiliary"):
        lung_boxes(cropping.spec, None)
    other = LungSegmenter().state_dict()
    assert lung_boxes(cropping.spec, other)["boxes"] != boxes["boxes"]
