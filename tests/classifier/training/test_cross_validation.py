"""Predictions of all folds as one report, each case at its own model's thresholds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from classifier.__main__ import main
from classifier.artifact.weights import save_artifact
from classifier.contract import ModelSpec, Slot
from classifier.data.manifest import read_manifest
from classifier.evaluation.predictions import write_predictions
from classifier.networks.registry import network_for
from classifier.training.config import Config
from classifier.training.cross_validation import pool, train_folds
from tests.classifier.collection import write_collection
from tests.classifier.made_up import Case, predict_from

SPEC = ModelSpec(
    name="tiny", slot=Slot.CXR, findings=("left", "right"), layers=(1, 1, 1, 1), width=4, size=64
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_collection(tmp_path_factory.mktemp("images"), patients=24)


def finished(folder, rows, *, threshold=0.5, right=0.9, spec=SPEC):
    """A folder as a finished fold leaves it, of a model that gives the true finding `right`."""
    folder.mkdir(parents=True)
    spec = replace(spec, thresholds=dict.fromkeys(spec.findings, threshold))
    save_artifact(
        folder / "model.safetensors", spec=spec, classifier_state=network_for(spec).state_dict(), card={}
    )
    text = [{f: right if f in row.findings else 1 - right for f in spec.findings} for row in rows]
    cases = [Case(row, predict_from(spec, p)) for row, p in zip(rows, text, strict=True)]
    write_predictions(folder / "predictions.csv", spec, rows, cases)
    return folder


def test_all_folds_are_reported_as_one_at_their_own_thresholds(manifest, tmp_path):
    rows = read_manifest(manifest)
    one = finished(tmp_path / "1", rows[:32], threshold=0.5)
    other = finished(tmp_path / "2", rows[32:], threshold=0.95, right=0.8)
    found = pool([one, other], manifest, draws=20)
    assert (found["cases"], found["patients"]) == (48, 24)
    assert found["overall"]["accuracy"]["value"] == 1
    sensitivity = found["findings"]["left"]["sensitivity"]["value"]
    assert sensitivity == pytest.approx(sum("left" in row.findings for row in rows[:32]) / 24)
    north = next(row for row in found["origins"] if (row["origin"], row["finding"]) == ("north", "left"))
    at_home = [row for row in rows[:32] if row.source == "north" and "left" in row.findings]
    assert north["sensitivity"]["value"] == pytest.approx(len(at_home) / north["present"])
    assert [fold["cases"] for fold in found["folds"]] == [32, 16]
    assert found["folds"][1]["brier"]["value"] == pytest.approx(2 * 0.2**2)
    briers = np.r_[[2 * 0.1**2] * 32, [2 * 0.2**2] * 16]
    assert found["overall"]["brier"]["value"] == pytest.approx(briers.mean())


def test_an_image_of_two_folds_is_refused(manifest, tmp_path, capsys):
    rows = read_manifest(manifest)
    folders = [finished(tmp_path / name, part) for name, part in (("1", rows[:30]), ("2", rows[20:]))]
    assert main(["pool-folds", *map(str, folders), "--manifest", str(manifest)]) == 1
    assert "10 images were predicted by more than one fold" in capsys.readouterr().err


def test_folds_trained_apart_are_joined_by_the_command(manifest, tmp_path, capsys):
    rows = read_manifest(manifest)
    folders = [finished(tmp_path / name, part) for name, part in (("1", rows[:24]), ("2", rows[24:]))]
    options = ["--manifest", str(manifest), "--draws", "10", "--out", str(tmp_path / "all"), "--json"]
    assert main(["pool-folds", *map(str, folders), *options]) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == 48
    lines = (tmp_path / "all" / "predictions.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["image", *(row.image for row in rows)]
    assert json.loads((tmp_path / "all" / "evaluation.json").read_text())["cases"] == 48
    assert (tmp_path / "all" / "figures" / "roc.svg").exists()


@pytest.mark.parametrize("by", ["patient", "image"])
def test_every_fold_is_trained_once_and_finished_ones_are_kept(manifest, tmp_path, by):
    from classifier.training.dataset import rows_of

    tested, trained = [], []

    def train(config):
        trained.append(config.fold)
        rows = [row for row in rows_of(config) if row.split == "test"]
        learned = {row.patient for row in rows_of(config) if row.split == "train"}
        tested.append(bool(learned & {row.patient for row in rows}))
        finished(config.out, rows)

    config = Config(manifest=manifest, out=tmp_path / "run", folds=4, fold_by=by)
    report = train_folds(config, train)
    assert trained == [1, 2, 3, 4]
    assert json.loads(report.read_text())["cases"] == 48
    assert tested == [by == "image"] * 4
    train_folds(replace(config, resume=True), train)
    assert trained == [1, 2, 3, 4]


def test_a_fold_without_folds_is_refused(manifest, tmp_path, capsys):
    command = ["train", "--manifest", str(manifest), "--out", str(tmp_path / "run"), "--fold", "2"]
    assert main(command) == 1
    assert "--folds" in capsys.readouterr().err
