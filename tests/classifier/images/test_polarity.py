"""Negatives are recognised from the image alone, and only when certain."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.contract import Slot
from classifier.images.polarity import is_negative
from classifier.images.read import read_image
from classifier.phantom.files import write_png
from classifier.phantom.render import render
from tests.classifier.images.samples import chest

CHEST = chest(200, 180, top=65535)
EVERY = 20


def test_a_chest_stays_as_it_is_and_its_negative_is_found() -> None:
    assert not is_negative(CHEST)
    assert is_negative(65535 - CHEST)


@pytest.mark.parametrize("border", [0, 65535])
def test_a_border_changes_nothing(border: int) -> None:
    framed = np.full((260, 240), border, np.uint16)
    framed[:200, 40:220] = CHEST
    assert not is_negative(framed)
    framed[:200, 40:220] = 65535 - CHEST
    assert is_negative(framed)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_chest_lying_on_its_side_is_not_taken_for_a_negative(quarter_turns: int) -> None:
    assert not is_negative(np.rot90(CHEST, quarter_turns))


def test_a_phantom_is_judged_like_a_chest(tmp_path: Path) -> None:
    made = render(3, size=320)
    write_png(tmp_path / "x.png", made)
    decoded = read_image(tmp_path / "x.png")
    assert (decoded.slot, decoded.synthetic, decoded.polarity_turned) == (Slot.PHANTOM, True, False)
    assert is_negative(65535 - decoded.working)


def test_what_is_no_chest_is_left_alone() -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (200, 200)).astype(np.uint16)
    assert not is_negative(noise)
    assert not is_negative(65535 - noise)
    assert not is_negative(np.zeros((100, 100), np.uint16))


def test_an_image_of_another_body_part_keeps_its_polarity() -> None:
    """Such as a panoramic view of the teeth, whose negative looks somewhat like a chest."""
    assert is_negative(65535 - CHEST, "CHEST")
    assert not is_negative(65535 - CHEST, "JAW")


@pytest.mark.shared_data
def test_real_chests_are_not_turned_and_their_negatives_are(shared_data: Path) -> None:
    with (shared_data / "cxr" / "manifest.csv").open() as file:
        names = [row["image"] for row in csv.DictReader(file)][::EVERY]
    turned = caught = caught_unstated = 0
    for name in names:
        with Image.open(shared_data / "cxr" / name) as image:
            grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
        turned += is_negative(grey, "CHEST")
        caught += is_negative(65535 - grey, "CHEST")
        caught_unstated += is_negative(65535 - grey)
    assert turned == 0
    assert caught / len(names) > 0.98
    assert caught_unstated / len(names) > 0.97
