"""An artifact records what it has learned from, under a key of its own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import pytest

from classifier.artifact.header import header_metadata, parse_header, read_header
from classifier.artifact.training_set import TrainingSet
from classifier.artifact.weights import load_artifact, resave, save_artifact
from classifier.contract import ModelSpec, Slot
from classifier.errors import ArtifactError
from classifier.networks.registry import network_for
from classifier.training.config import Config
from classifier.training.dataset import rows_of
from classifier.training.train import train
from tests.classifier.collection import write_collection

SPEC = ModelSpec("tiny", Slot.CXR, ("left", "right"), layers=(1, 1, 1, 1), width=4, size=64)
USED = {"train": [("a" * 64, "p1"), ("b" * 64, "p2")], "val": [("c" * 64, "p3")]}


def test_images_and_patients_of_both_parts_are_recognised_and_no_others():
    used = TrainingSet.of(USED)
    assert all(used.contains_image(image) for image in ("a" * 64, "b" * 64, "c" * 64))
    assert all(used.contains_patient(patient) for patient in ("p1", "p2", "p3"))
    assert not used.contains_image("d" * 64)
    assert not used.contains_patient("p4")
    assert not used.contains_patient("a" * 64)


def test_two_artifacts_of_the_same_data_share_no_fingerprint_and_none_shows_a_patient():
    one, two = TrainingSet.of(USED), TrainingSet.of(USED)
    assert not one.images["train"] & two.images["train"]
    assert "p1" not in one.to_json()
    assert {len(mark) for mark in one.patients["train"]} == {16}


def test_a_fine_tuned_model_remembers_what_its_base_has_learned_from():
    tuned = TrainingSet.of({"train": [("d" * 64, "p4")]}, base=TrainingSet.of(USED))
    assert tuned.contains_patient("p1")
    assert tuned.contains_image("d" * 64)


def test_it_is_kept_in_the_header_and_by_a_resave(tmp_path):
    path, used = tmp_path / "m.safetensors", TrainingSet.of(USED)
    state = network_for(SPEC).state_dict()
    save_artifact(path, spec=SPEC, classifier_state=state, card={}, training_set=used)
    assert read_header(path).training_set == used
    resave(tmp_path / "again.safetensors", load_artifact(path))
    assert read_header(tmp_path / "again.safetensors").training_set == used


def test_an_artifact_without_it_loads(tmp_path):
    save_artifact(tmp_path / "m", spec=SPEC, classifier_state=network_for(SPEC).state_dict(), card={})
    assert read_header(tmp_path / "m").training_set is None
    assert load_artifact(tmp_path / "m").training_set is None


@pytest.mark.parametrize("text", ["[]", "{}", '{"key": "zz", "images": {}, "patients": {}}', "no JSON"])
def test_a_header_with_a_damaged_one_is_refused(text):
    metadata = header_metadata(SPEC, {}) | {"training_set": text}
    with pytest.raises(ArtifactError, match="description"):
        parse_header({"__metadata__": metadata}, "0" * 64)


def test_the_header_is_read_without_torch():
    code = "import sys, classifier.artifact.header; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_training_records_train_and_validation_images_and_not_the_test_ones(tmp_path):
    manifest = write_collection(tmp_path / "images", unknown=3)
    tiny = {"layers": (1, 1, 1, 1), "width": 4, "size": 64, "progressive": False, "batch": 8, "device": "cpu"}
    config = Config(
        manifest=manifest, out=tmp_path / "run", epochs=1, epoch_images=8, shortcuts=0, json=True, **tiny
    )
    base = read_header(train(config)).training_set
    rows = rows_of(config)
    for row in rows:
        used = row.split != "test"
        assert base.contains_patient(row.patient) is used
        assert base.contains_image(hashlib.sha256(row.path.read_bytes()).hexdigest()) is used
    tuned = replace(config, out=tmp_path / "tuned", pretrained=str(config.out / "model.safetensors"), seed=1)
    after = read_header(train(tuned)).training_set
    assert all(after.contains_patient(row.patient) for row in rows if row.split != "test")
