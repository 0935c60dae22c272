"""`train --other-abnormality` and `other-abnormality` store a score that inference applies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.__main__ import main
from classifier.artifact.weights import load_artifact
from classifier.contract import Slot
from classifier.data.manifest import read_manifest, reader_for, with_split
from classifier.evaluation.model_card import render
from classifier.inference.predictor import Input, Predictor
from classifier.reasons import AbstentionReason
from classifier.training.other_abnormality.gather import drawn, read_other
from tests.classifier.collection import SIDE, image, write_collection, write_manifest

TINY = "--layers 1,1,1,1 --width 4 --size 64 --no-progressive --batch 8 --epochs 4 --lr 5e-3 --ema 0.9"


def write_other(folder: Path, *, patients: int = 20) -> Path:
    """Images with a bright band above and below, and two with a finding of the model, of origin east."""
    folder.mkdir()
    lines = []
    for patient in range(patients):
        grey = image("left", 7000 + patient)
        finding = "left"
        if patient >= 2:
            noise = np.random.default_rng(patient).normal(0, 6, (SIDE, SIDE))
            grey, finding = (80 + noise).clip(0, 255).astype(np.uint8), "effusion"
            grey[:20], grey[60:] = 230, 230
        Image.fromarray(grey).save(folder / f"{patient}.png")
        lines.append(
            {"image": f"{patient}.png", "finding": finding, "patient": f"e{patient}", "source": "east"}
        )
    return write_manifest(folder / "manifest.csv", lines)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("other")
    manifest, other = write_collection(folder / "images", unknown=3), write_other(folder / "other")
    command = ["train", "--manifest", str(manifest), "--out", str(folder / "run"), *TINY.split()]
    command += ["--epoch-images", "160", "--json", "--device", "cpu", "--cache", str(folder / "cache")]
    assert main([*command, "--other-abnormality", str(other)]) == 0
    return {
        "manifest": manifest, "other": other, "model": folder / "run" / "model.safetensors",
        "cache": folder / "cache",
    }  # fmt: skip


def scores(model: Path, manifest: Path) -> dict[str, list]:
    """Score and reason of every image of the manifest, by its finding."""
    predictor, read = Predictor(load_artifact(model)), reader_for(Slot.CXR)
    found: dict[str, list] = {}
    for row in read_manifest(manifest):
        (result,) = predictor.predict([Input(*read(row))])
        found.setdefault("|".join(row.findings or ()), []).append(result.prediction)
    return found


def test_training_fits_it_and_states_it_in_the_card(files):
    artifact = load_artifact(files["model"])
    report = artifact.card["other_abnormality"]
    assert artifact.spec.other_abnormality == report["limit"]
    assert {line["source"]: line["other"] for line in report["images"]} == {
        "north": 0,
        "south": 0,
        "east": 18,
    }
    by_finding = scores(files["model"], files["other"])
    effusion = [prediction.measures.other_abnormality for prediction in by_finding["effusion"]]
    known = [
        p.measures.other_abnormality
        for f, ps in scores(files["model"], files["manifest"]).items()
        if f
        for p in ps
    ]
    assert np.median(effusion) > np.quantile(known, 0.95)
    assert AbstentionReason.OTHER_ABNORMALITY in {p.abstention for p in by_finding["effusion"]}
    text = render(artifact.card, artifact.spec)
    assert "## Other abnormalities" in text
    assert "| logistic regression (used) |" in text
    assert "| east | 18 |" in text
    assert str(files["other"].parent) not in json.dumps(artifact.card)


def test_the_command_fits_it_again_and_changes_nothing_else(files, tmp_path, capsys):
    out = tmp_path / "again.safetensors"
    command = ["other-abnormality", "--model", str(files["model"]), "--manifest", str(files["manifest"])]
    command += ["--other", str(files["other"]), "--out", str(out), "--device", "cpu"]
    assert main([*command, "--cache", str(files["cache"])]) == 0
    captured = capsys.readouterr()
    assert "withheld above a score of" in captured.out
    assert "Warning" not in captured.err
    before, after = load_artifact(files["model"]), load_artifact(out)
    assert after.golden.probabilities.tolist() == before.golden.probabilities.tolist()
    assert after.training_set == before.training_set
    assert np.allclose(after.other_abnormality["weight"], before.other_abnormality["weight"], atol=1e-3)
    assert after.card.keys() == before.card.keys()
    assert main([*command, "--seed", "5", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["candidates"].keys() >= {"head", "energy"}
    assert "not the split that the model states" in captured.err


def test_the_evaluation_states_how_many_of_each_finding_are_withheld(files, tmp_path, capsys):
    command = ["evaluate", "--model", str(files["model"]), "--manifest", str(files["manifest"]), "--json"]
    assert main([*command, "--shortcuts", "0", "--draws", "20", "--device", "cpu"]) == 0
    processed = json.loads(capsys.readouterr().out)["not_withheld"]
    withheld = sum(
        shares.get("other_abnormality", {"value": 0})["value"] * count
        for shares, count in zip(processed["by_finding"].values(), (36, 38), strict=True)
    )
    assert withheld == pytest.approx(processed["reasons"].get("other_abnormality", 0), abs=0.5)


def test_a_manifest_without_another_abnormality_is_refused(files, tmp_path, capsys):
    command = ["other-abnormality", "--model", str(files["model"]), "--manifest", str(files["manifest"])]
    assert main([*command, "--other", str(files["manifest"]), "--out", str(tmp_path / "no")]) == 1
    assert "none of left, right" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_patients_of_the_test_part_and_unknown_images_are_left_out(files):
    rows = read_other(files["other"], ("left", "right"), left_out={"e3", "e4"})
    assert {row.patient for row in rows} == {f"e{i}" for i in range(20)} - {"e3", "e4"}
    assert {row.split for row in rows} == {None}


def test_known_images_are_drawn_evenly(files):
    rows = with_split(read_manifest(files["manifest"]), seed=0)
    chosen = drawn(rows, "train", 16, seed=0)
    assert len(chosen) == 16
    assert sorted(r.stratum for r in chosen) == sorted(
        4 * ["north|left", "north|right", "south|left", "south|right"]
    )
    assert all(row.split == "train" for row in chosen)
    every = drawn(rows, "val", 1000, seed=0)
    assert len(every) == sum(row.split == "val" and row.findings is not None for row in rows)


def test_training_fits_the_warnings_and_the_command_fits_them_again(files, tmp_path):
    trained, again = load_artifact(files["model"]), tmp_path / "again.safetensors"
    assert trained.spec.warning_limits.distance.warning > 0
    assert trained.card["warning_limits"]["images"]["train"] > 0
    assert "## Warnings" in render(trained.card, trained.spec)
    command = ["warning-limits", "--model", str(files["model"]), "--manifest", str(files["manifest"])]
    assert main([*command, "--out", str(again), "--cache", str(files["cache"])]) == 0
    assert load_artifact(again).spec.warning_limits == trained.spec.warning_limits
    (result,) = Predictor(load_artifact(again)).predict(
        [Input(np.full((SIDE, SIDE), 9, np.uint16), (SIDE, SIDE))]
    )
    assert result.prediction.measures.distance > trained.spec.warning_limits.distance.warning
    assert "unusual_image" in result.prediction.warnings
