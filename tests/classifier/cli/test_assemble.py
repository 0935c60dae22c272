"""An input check and a segmenter are added to a model without changing its results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from classifier.__main__ import main
from classifier.artifact.quantise import stored
from classifier.artifact.weights import load_artifact, save_artifact
from classifier.contract import ModelSpec, Slot
from classifier.networks.input_check import InputCheck
from classifier.networks.lung_segmenter import LungSegmenter
from classifier.networks.registry import network_for

SPEC = ModelSpec("tiny", Slot.CXR, ("normal", "pneumonia"), layers=(1, 1, 1, 1), width=8, size=64)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    golden = np.random.default_rng(0).integers(0, 65536, (2, 64, 64), dtype=np.uint16)
    path = tmp_path / "bare.safetensors"
    save_artifact(
        path, spec=SPEC, classifier_state=network_for(SPEC).state_dict(), card={"name": "x"}, golden=golden
    )
    return path


@pytest.fixture
def parts(tmp_path: Path) -> list[str]:
    (tmp_path / "check").mkdir()
    save_file(stored(InputCheck().state_dict(), "fp16"), tmp_path / "check" / "input_check.safetensors")
    (tmp_path / "check" / "input_check.json").write_text(json.dumps({"held_out": [{"group": "ct"}]}))
    save_file(stored(LungSegmenter().state_dict(), "fp16"), tmp_path / "lungs.safetensors")
    (tmp_path / "lungs.json").write_text(json.dumps({"parameters": 7}))
    return ["--input-check", str(tmp_path / "check"), "--segmenter", str(tmp_path / "lungs.safetensors")]


def test_the_classifier_stays_the_same_to_the_bit(bare, parts, tmp_path):
    out = tmp_path / "whole.safetensors"
    assert (
        main(
            [
                "assemble",
                "--model",
                str(bare),
                *parts,
                "--ages",
                "1",
                "94",
                "--low-confidence",
                "0.9",
                "--out",
                str(out),
            ]
        )
        == 0
    )
    before, after = load_artifact(bare), load_artifact(out)
    assert after.storage == before.storage == "int8"
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(tensor, after.network.state_dict()[name])
    assert np.array_equal(before.golden.probabilities, after.golden.probabilities)
    assert after.input_check.keys() == InputCheck().state_dict().keys()
    assert after.segmenter.keys() == LungSegmenter().state_dict().keys()
    assert after.spec.age_range == (1.0, 94.0)
    assert after.spec.low_confidence == 0.9
    assert after.card == {
        "name": "x",
        "gate": {"held_out": [{"group": "ct"}]},
        "segmenter": {"parameters": 7},
    }


def test_statements_and_measures_of_the_whole_model_join_its_card(bare, tmp_path, capsys):
    (tmp_path / "about.json").write_text(json.dumps({"title": "Whole"}))
    (tmp_path / "found.json").write_text(json.dumps({"cases": 3}))
    reported = ["--about", str(tmp_path / "about.json"), "--evaluation", str(tmp_path / "found.json")]
    out = tmp_path / "whole.safetensors"
    assert main(["assemble", "--model", str(bare), *reported, "--out", str(out)]) == 0
    assert load_artifact(out).card == {"name": "x", "about": {"title": "Whole"}, "evaluation": {"cases": 3}}
    (tmp_path / "about.json").write_text(json.dumps({"praise": "none"}))
    assert main(["assemble", "--model", str(bare), *reported, "--out", str(tmp_path / "no")]) == 2
    assert "unknown statement 'praise'" in capsys.readouterr().err


def test_a_input_check_of_another_make_is_refused_and_nothing_is_written(bare, parts, tmp_path, capsys):
    save_file({"head.weight": np.zeros((2, 2), np.float32)}, tmp_path / "check" / "input_check.safetensors")
    out = tmp_path / "whole.safetensors"
    assert main(["assemble", "--model", str(bare), *parts, "--out", str(out)]) == 2
    assert "key_mismatch" in capsys.readouterr().err
    assert not out.exists()
