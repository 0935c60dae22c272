"""The gate of the shipped X-ray model, on real images of which some took part in its training."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.artifact.header import shipped_artifact
from classifier.artifact.weights import load_artifact
from classifier.contract import Slot
from classifier.images.read import read_image
from classifier.networks.input_check import InputCheck, input_check_image, load_input_check
from classifier.phantom.render import render
from classifier.reasons import AbstentionReason


@pytest.fixture(scope="module")
def input_check_value() -> InputCheck:
    artifact = load_artifact(shipped_artifact(Slot.CXR))
    assert artifact.input_check, "the shipped X-ray model carries no gate"
    return load_input_check(artifact.input_check)


def verdicts(input_check_value: InputCheck, decoded_images: Iterable[np.ndarray]) -> Counter:
    """How many of the working images got which reason, None: passed."""
    found: Counter = Counter()
    for image in decoded_images:
        found[input_check_value.judge(input_check_image(image)[None])[0]] += 1
    return found


def images_of(manifest: Path, source: str, count: int, slot: Slot = Slot.CXR) -> Iterable[np.ndarray]:
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == source]
    for row in rows[:: max(1, len(rows) // count)][:count]:
        yield read_image(manifest.parent / row["image"], slot).working


@pytest.mark.shared_data
@pytest.mark.parametrize("source", ["nih", "ieee8023", "kermany", "radiography-db"])
def test_frontal_images_of_every_source_pass(input_check_value, shared_data, source):
    found = verdicts(input_check_value, images_of(shared_data / "cxr" / "manifest.csv", source, 50))
    assert found[None] >= 48


@pytest.mark.shared_data
def test_lateral_views_are_reported_from_frontal_ones(input_check_value, shared_data):
    found = verdicts(input_check_value, images_of(shared_data / "lateral" / "manifest.csv", "ieee8023", 37))
    assert found[AbstentionReason.LATERAL_VIEW] >= 34


@pytest.mark.shared_data
def test_ct_slices_are_no_chest_xrays(input_check_value, shared_data):
    manifest = shared_data / "ct" / "manifest.csv"
    for source in ("medseg", "ieee8023"):
        found = verdicts(input_check_value, images_of(manifest, source, 40))
        assert found[AbstentionReason.NOT_A_CHEST_XRAY] >= 38


@pytest.mark.shared_data
def test_an_image_that_lies_or_stands_on_its_head_is_out_of_the_ordinary(input_check_value, shared_data):
    manifest = shared_data / "cxr" / "manifest.csv"
    for quarters in (1, 2, 3):
        turned = (np.rot90(image, quarters).copy() for image in images_of(manifest, "nih", 20))
        assert verdicts(input_check_value, turned)[AbstentionReason.OUT_OF_DISTRIBUTION] >= 18


def test_text_shapes_and_noise_are_no_chest_xrays(input_check_value):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    checks = ((x // 32 + y // 32) % 2 * 60000).astype(np.uint16)
    page = np.full((300, 220), 65535, np.uint16)
    page[20:280:12, 20:200] = rng.integers(0, 2, (22, 180)) * 65535
    noise = rng.integers(0, 65536, (200, 200), dtype=np.uint16)
    slope = np.tile(np.linspace(0, 65535, 300).astype(np.uint16), (200, 1))
    assert verdicts(input_check_value, (checks, page, noise, slope))[None] == 0


@pytest.mark.slow
def test_simulated_radiographs_without_their_mark_are_not_taken_for_real_ones(input_check_value):
    phantoms = (render(seed, size=512, opacities=seed % 2).pixels * np.uint16(16) for seed in range(900, 912))
    assert verdicts(input_check_value, phantoms)[None] <= 2


def test_the_cat_gets_no_probability_either(input_check_value):
    skimage = pytest.importorskip("sklearn.datasets")
    for image in skimage.load_sample_images().images:
        grey = np.asarray(Image.fromarray(image).convert("L")).astype(np.uint16) * 257
        assert verdicts(input_check_value, [grey]) == {AbstentionReason.NOT_A_CHEST_XRAY: 1}
