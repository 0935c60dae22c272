"""The lung segmenter: what it takes, what it refuses, and what is measured on its masks."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from classifier.artifact.header import shipped_artifact
from classifier.artifact.weights import load_artifact
from classifier.contract import Slot
from classifier.errors import KEY_MISMATCH, ArtifactError
from classifier.images.read import read_image
from classifier.networks.lung_segmenter import (
    SIZE,
    Box,
    LungSegmenter,
    inside_lungs,
    load_segmenter,
    lung_box,
    lung_mask,
    lungs_of,
)


def drawn(*ellipses: tuple[float, float, float, float] | None, size: int = 128) -> np.ndarray:
    """A mask (2, size, size): an ellipse a lung, of centre x, y and half axes a, b, in shares of it."""
    y, x = (np.indices((size, size)) + 0.5) / size
    planes = [((x - e[0]) / e[2]) ** 2 + ((y - e[1]) / e[3]) ** 2 <= 1 if e else x < 0 for e in ellipses]
    return np.stack(planes).astype(np.float32)


RIGHT, LEFT = (0.28, 0.5, 0.15, 0.35), (0.72, 0.5, 0.15, 0.35)


def chest() -> np.ndarray:
    return drawn(RIGHT, LEFT)


def cropped(mask: np.ndarray, **sides: float) -> np.ndarray:
    """The mask of the image less shares of its sides, in its own pixels."""
    size = mask.shape[1]
    cut = {side: round(sides.get(side, 0) * size) for side in ("left", "top", "right", "bottom")}
    return mask[:, cut["top"] : size - cut["bottom"], cut["left"] : size - cut["right"]]


def test_a_segmenter_is_small_and_results_at_the_size_of_its_input():
    segmenter = LungSegmenter().eval()
    assert sum(parameter.numel() for parameter in segmenter.parameters()) < 600_000
    assert segmenter(torch.zeros(2, 1, SIZE, SIZE)).shape == (2, 2, SIZE, SIZE)


def test_a_loaded_segmenter_gives_the_saved_ones_masks():
    saved = LungSegmenter()
    loaded = load_segmenter(saved.state_dict())
    image = torch.randn(1, 1, SIZE, SIZE)
    assert not loaded.training
    with torch.inference_mode():
        assert torch.allclose(loaded(image), saved.eval()(image), atol=1e-4)


@pytest.mark.parametrize("harm", ["missing", "strange", "shape"])
def test_tensors_of_another_network_are_refused(harm):
    state = LungSegmenter().state_dict()
    if harm == "missing":
        state.pop("head.bias")
    elif harm == "strange":
        state["tail.bias"] = torch.zeros(2)
    else:
        state["head.bias"] = torch.zeros(3)
    with pytest.raises(ArtifactError) as caught:
        load_segmenter(state)
    assert caught.value.code == KEY_MISMATCH


def test_a_batch_of_images_of_any_shape_gives_probabilities_for_each():
    rng = np.random.default_rng(0)
    decoded_images = [rng.integers(0, 65535, shape, dtype=np.uint16) for shape in ((90, 70), (64, 200))]
    segmenter = load_segmenter(LungSegmenter().state_dict())
    masks = lung_mask(segmenter, decoded_images)
    assert masks.shape == (2, 2, SIZE, SIZE)
    assert masks.dtype == np.float32
    assert masks.min() >= 0
    assert masks.max() <= 1
    np.testing.assert_allclose(masks[1], lung_mask(segmenter, decoded_images[1:])[0], atol=1e-5)
    assert lung_mask(segmenter, []).shape == (0, 2, SIZE, SIZE)


def test_brightness_and_contrast_of_an_image_do_not_matter():
    image = np.random.default_rng(1).integers(0, 20_000, (80, 80), dtype=np.uint16)
    segmenter = load_segmenter(LungSegmenter().state_dict())
    one, other = lung_mask(segmenter, [image, image * 2 + 5_000])
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_lung_is_the_largest_part_and_no_speck():
    mask = np.zeros((2, 100, 100), np.float32)
    mask[0, 10:50, 10:30] = 0.9
    mask[0, 80:84, 80:84] = 0.9
    mask[1, 5:10, 5:10] = 0.9
    lungs = lungs_of(mask)
    assert lungs[0].sum() == 800
    assert not lungs[1].any()


def test_a_map_inside_the_lungs_counts_whole_and_one_outside_not_at_all():
    mask = np.zeros((2, 8, 8), np.float32)
    mask[0, :, :4] = 1
    grid = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert inside_lungs(grid, mask) == 1.0
    assert inside_lungs(grid[:, ::-1], mask) == 0.0


def test_only_the_positive_part_of_a_map_counts():
    mask = np.zeros((2, 8, 8), np.float32)
    mask[1, :, 4:] = 1
    assert inside_lungs(np.array([[1.0, 3.0], [-8.0, -8.0]]), mask) == pytest.approx(0.75)


def test_a_cell_that_the_lungs_cover_in_part_counts_in_part():
    mask = np.zeros((2, 8, 8), np.float32)
    mask[0, :, :3] = (
        1  # a grid of 3 columns: the first has 8/3 pixels, the second the ninth part of a pixel more
    )
    assert inside_lungs(np.array([[3.0, 0.0, 0.0]]), mask) == pytest.approx(1.0)
    assert inside_lungs(np.array([[0.0, 3.0, 0.0]]), mask) == pytest.approx(1 / 8)
    assert inside_lungs(np.ones((5, 3)), mask) == pytest.approx(3 / 8)


def test_a_map_without_a_positive_value_has_no_share_and_an_image_without_lungs_none_inside():
    assert inside_lungs(np.full((5, 5), -1.0), chest()) is None
    assert inside_lungs(np.ones((5, 5)), np.zeros((2, 64, 64), np.float32)) == 0.0


def test_the_box_holds_both_lungs_and_its_margin_stays_in_the_image():
    mask = np.zeros((2, 100, 100), np.float32)
    mask[0, 20:80, 10:40] = 1
    mask[1, 30:90, 60:90] = 1
    assert lung_box(mask) == Box(0.1, 0.2, 0.9, 0.9)
    wide = lung_box(mask, margin=0.2)
    assert (wide.left, wide.right, wide.bottom) == (0.0, 1.0, 1.0)
    assert wide.top == pytest.approx(0.2 - 0.2 * 0.7)
    assert lung_box(np.zeros((2, 100, 100), np.float32)) is None


@pytest.fixture(scope="module")
def shipped() -> LungSegmenter:
    artifact = load_artifact(shipped_artifact(Slot.CXR))
    if artifact.segmenter is None:
        pytest.skip("the shipped X-ray model carries no lung segmenter")
    return load_segmenter(artifact.segmenter)


def rows_of(manifest, source: str, count: int) -> list:
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == source]
    return rows[:: len(rows) // count][:count]


def lungs_in(segmenter: LungSegmenter, manifest, source: str) -> np.ndarray:
    """The lungs found in 16 images of a source, bool (16, 2, h, w)."""
    images = [
        read_image(manifest.parent / row["image"], Slot.CXR).working for row in rows_of(manifest, source, 16)
    ]
    return np.stack([lungs_of(mask) for mask in lung_mask(segmenter, images)])


@pytest.mark.shared_data
@pytest.mark.parametrize("source", ["nih", "ieee8023", "kermany", "radiography-db"])
def test_both_lungs_are_found_in_frontal_images_of_every_source(shipped, shared_data, source):
    areas = lungs_in(shipped, shared_data / "cxr" / "manifest.csv", source).mean(axis=(2, 3))
    assert (areas.min(axis=1) > 0.4 * areas.max(axis=1)).sum() >= 14


@pytest.mark.shared_data
def test_a_ct_slice_has_no_lungs_to_this_segmenter(shipped, shared_data):
    found = lungs_in(shipped, shared_data / "ct" / "manifest.csv", "medseg")
    assert (~found.any(axis=(1, 2, 3))).sum() >= 14
