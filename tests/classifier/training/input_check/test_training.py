"""A gate learns to report kinds apart, and its limits are set by images that it has not learned from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.stats import binomtest

from classifier.__main__ import main
from classifier.artifact.quantise import restored, stored
from classifier.cli.training.input_check import lungs_of
from classifier.networks.input_check import FRONTAL, KINDS, load_input_check
from classifier.networks.lung_segmenter import LungSegmenter
from classifier.training.input_check import report
from classifier.training.input_check.data import SIDE, Item
from classifier.training.input_check.ood_negatives import ood_negative, ood_negatives
from classifier.training.input_check.report import Absence, name_of, rates, wilson
from classifier.training.input_check.train import Kinds, Material, measured, train_input_check
from tests.classifier.collection import write_collection


def discs(rng: np.random.Generator) -> np.ndarray:
    """An image with two dark lungs in a bright body."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    image = np.full((SIDE, SIDE), 200.0)
    for centre in (0.3, 0.7):
        image[((x - centre) / 0.16) ** 2 + ((y - 0.5) / 0.36) ** 2 < 1] = 60
    return np.clip(image + rng.normal(0, 10, image.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def material() -> Material:
    rng = np.random.default_rng(0)
    parts = ["train"] * 24 + ["val"] * 12 + ["test"] * 12
    items = [Item(Path(f"{i}"), "", f"s{i % 2}", f"p{i}", part) for i, part in enumerate(parts)]
    return Material(items, np.stack([discs(rng) for _ in items]), [None] * len(items))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> np.ndarray:
    return ood_negatives(40, tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def input_check_value(material, made):
    return train_input_check(material, made, steps=40, batch=20, quiet=True)


def test_it_learns_to_report_frontal_images_from_others(input_check_value, material, made):
    unseen = material.where(lambda item: item.part == "test")
    outsiders = Material([], np.stack([ood_negative(seed) for seed in range(1000, 1020)]), [])
    frontal, other = (
        measured(input_check_value, m.unit())[0][:, KINDS.index(FRONTAL)] for m in (unseen, outsiders)
    )
    assert frontal.mean() > other.mean() + 0.3


def test_its_limits_let_the_validation_images_of_every_source_pass(input_check_value, material):
    checked = material.where(lambda item: item.part == "val")
    _, distances = measured(input_check_value, checked.unit())
    assert distances.max() == pytest.approx(1.0, abs=0.05)
    assert 0.2 <= float(input_check_value.frontal_from) <= 0.9


def test_the_same_seed_trains_the_same_input_check(material, made):
    one, two = (
        train_input_check(material, made, steps=2, batch=8, quiet=True).state_dict() for _ in range(2)
    )
    assert all((one[name] == two[name]).all() for name in one)


def test_a_batch_without_lateral_views_draws_the_other_kinds(material, made):
    unit, targets = Kinds(material, made, seed=0).draw(200)
    assert unit.shape[0] == len(targets) == 200
    assert set(targets.tolist()) == {KINDS.index(kind) for kind in KINDS if kind != "lateral"}


def test_no_frontal_image_is_no_input_check(material, made):
    with pytest.raises(ValueError, match="frontal"):
        train_input_check(material.where(lambda item: item.part == "val"), made, steps=1, quiet=True)


@pytest.mark.parametrize(("part", "whole"), [(0, 20), (1, 37), (20, 20), (500, 1000)])
def test_intervals_are_wilsons(part, whole):
    expected = binomtest(part, whole).proportion_ci(method="wilson")
    assert wilson(part, whole) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_rates_are_counted_by_group_with_their_reasons():
    table = rates(["ct", "ct", "frontal"], ["not_a_chest_xray", "", ""])
    assert [(row["group"], row["n"], row["stopped"]) for row in table] == [("ct", 2, 1), ("frontal", 1, 0)]
    assert table[0]["reasons"] == {"not_a_chest_xray": 1}
    assert table[0]["low"] < table[0]["rate"] == 0.5 < table[0]["high"]


def test_what_a_run_leaves_out_is_neither_learned_from_nor_missed(material, made, monkeypatch):
    outsiders = [Item(Path("c"), "ct", "x", "q", "train"), Item(Path("d"), "mr", "y", "r", "train")]
    laterals = [Item(Path(f"l{i}"), "lateral_chest", "z", f"patient {i}", "train") for i in range(12)]
    items = [*material.items, *outsiders, *laterals]
    whole = Material(items, np.zeros((len(items), SIDE, SIDE), np.uint8), [None] * len(items))
    learned: list[set[str]] = []

    def train(given, *_, **__):
        learned.append({str(item.path) for item in given.items})

    monkeypatch.setattr(report, "train_input_check", train)
    monkeypatch.setattr(report, "stops", lambda _, given: ["x"] * len(given.items))
    table = {row["group"]: row["n"] for row in report.held_out_rates(whole, made, steps=1)["held_out"]}
    assert table == {
        "ct, unseen group": 1,
        "mr, unseen group": 1,
        "lateral_chest, unseen group": 12,
        "lateral_chest, unseen patient": 12,
        "frontal, s0, unseen source": 24,
        "frontal, s1, unseen source": 24,
    }
    assert all("c" not in run for run in learned[:1])
    assert all("d" in run for run in learned[:1])


def test_bedside_views_are_counted_apart():
    items = [Item(Path("a"), "", "s", "p", "test", view) for view in ("", "PA", "AP SUPINE")]
    assert [name_of(item) for item in items] == ["frontal, s", "frontal, s, PA", "frontal, s, AP"]
    assert Absence("ct", "s", 0).of(items[0]) == "source"


def test_the_command_writes_a_input_check_and_its_rates(tmp_path):
    manifest = write_collection(tmp_path / "data", patients=40)
    rows = manifest.read_text().splitlines()
    first = rows[1].split(",")[0]
    (tmp_path / "data" / "others.csv").write_text(f"image,part\n{first},test\n")
    argv = [
        "input-check",
        "--manifest",
        str(manifest),
        "--ood-negatives",
        f"photograph={tmp_path / 'data' / 'others.csv'}",
    ]
    assert main([*argv, "--out", str(tmp_path / "out"), "--steps", "2", "--synthetic", "8"]) == 0
    load_input_check(restored(load_file(tmp_path / "out" / "input_check.safetensors")))
    found = json.loads((tmp_path / "out" / "input_check.json").read_text())
    assert "photograph" in {row["group"] for row in found["same_groups"]}
    assert "turned, out of frontal images" in {row["group"] for row in found["made"]}
    assert found["steps"] == 2


def test_lungs_are_looked_for_once(tmp_path, monkeypatch):
    save_file(stored(LungSegmenter().state_dict(), "fp16"), tmp_path / "lungs.safetensors")
    cached_images = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
    first = lungs_of(cached_images, tmp_path / "lungs.safetensors", tmp_path)
    assert (first.shape, first.dtype) == ((3, 128, 128), bool)
    monkeypatch.setattr("classifier.networks.lung_segmenter.lung_mask", None)
    assert np.array_equal(lungs_of(cached_images, tmp_path / "lungs.safetensors", tmp_path), first)
    with pytest.raises(TypeError):
        lungs_of(cached_images[::-1].copy(), tmp_path / "lungs.safetensors", tmp_path)
