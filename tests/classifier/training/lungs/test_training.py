"""Teaching the lung segmenter, on ellipses that stand for lungs."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from classifier.__main__ import main
from classifier.data.manifest import Row, read_manifest
from classifier.networks.lung_segmenter import LungSegmenter, load_segmenter, lung_mask
from classifier.training.lungs.data import Images, Vary, blank_images, negative_rows, split_lungs
from classifier.training.lungs.measure import dice
from classifier.training.lungs.train import Segmentation, load, loss_of, rows_with_parts, save

SIDE = 96


def lungs(seed: int, size: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """A grey image uint8 with two dark ellipses, and their mask bool (H, W)."""
    rng = np.random.default_rng(seed)
    y, x = (np.indices((size, size)) + 0.5) / size
    mask = np.zeros((size, size), bool)
    for centre in (0.3, 0.7):
        a, b = rng.uniform(0.1, 0.15), rng.uniform(0.25, 0.35)
        mask |= ((x - centre) / a) ** 2 + ((y - 0.5) / b) ** 2 <= 1
    grey = np.where(mask, 60, 170) + rng.normal(0, 8, mask.shape)
    return grey.clip(0, 255).astype(np.uint8), mask


def collection(count: int = 24, size: int = 192) -> Images:
    made = [lungs(seed, size) for seed in range(count)]
    masks = np.stack([split_lungs(mask) * np.uint8(255) for _, mask in made])
    rows = [Row(f"{i}.png", None, None, f"p{i}", "made", "train") for i in range(count)]
    return Images(np.stack([grey for grey, _ in made]), masks, rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 images of twelve patients, 20 with masks, and four images without lungs, each a manifest."""
    folder = tmp_path_factory.mktemp("lungs")
    (folder / "masks").mkdir()
    lines = []
    for i in range(24):
        grey, mask = lungs(i)
        Image.fromarray(grey).save(folder / f"{i:02}.png")
        if i < 20:
            Image.fromarray(mask).save(folder / "masks" / f"{i:02}.png")
        lines.append({"image": f"{i:02}.png", "finding": "normal", "patient": f"p{i // 2}", "source": "made"})
    write(folder / "manifest.csv", lines)
    noise = np.random.default_rng(0)
    empty = [{"image": f"empty{i}.png", "group": "noise", "part": ("train", "test")[i % 2]} for i in range(4)]
    for line in empty:
        Image.fromarray(noise.integers(0, 255, (SIDE, SIDE), dtype=np.uint8)).save(folder / line["image"])
    write(folder / "empty.csv", empty)
    return folder


def write(path, lines):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, lines[0])
        table.writeheader()
        table.writerows(lines)


def test_a_mask_is_unmerged_into_the_lung_on_either_side():
    _, mask = lungs(0)
    first, second = split_lungs(mask)
    assert (first | second == mask).all()
    assert not (first & second).any()
    assert not first[:, SIDE // 2 :].any()
    assert not second[:, : SIDE // 2].any()


def test_a_small_third_part_goes_with_the_nearer_lung_and_a_single_part_is_cut():
    _, mask = lungs(0)
    speck = mask.copy()
    speck[2:5, 5:8] = True
    assert split_lungs(speck)[0].sum() == split_lungs(mask)[0].sum() + 9
    joined = np.zeros((20, 20), bool)
    joined[5:15, 4:16] = True
    assert [part.sum() for part in split_lungs(joined)] == [60, 60]
    assert not split_lungs(np.zeros((20, 20), bool)).any()


def test_patients_are_not_divided_and_images_without_masks_have_no_part(folder):
    rows = rows_with_parts(read_manifest(folder / "manifest.csv"), folder / "masks", seed=0)
    assert [row.split for row in rows[20:]] == [None] * 4
    assert {row.split for row in rows[:20]} == {"train", "val", "test"}
    assert all(rows[i].split == rows[i + 1].split for i in range(0, 20, 2))


def test_a_manifest_without_any_mask_is_stated_so(folder, tmp_path):
    with pytest.raises(ValueError, match="has a mask"):
        rows_with_parts(read_manifest(folder / "manifest.csv"), tmp_path, seed=0)


def test_images_without_lungs_keep_the_part_they_were_given(folder):
    rows = negative_rows([folder / "empty.csv"], seed=0)
    assert [(row.source, row.split) for row in rows] == [("noise", "train"), ("noise", "test")] * 2


def test_views_move_images_and_masks_together_and_keep_each_lung_on_its_side():
    images = collection(32)
    vary = Vary(seed=0)
    unit, masks = vary(images.images, images.masks)
    assert unit.shape == (32, 1, 128, 128)
    assert float(unit.min()) >= 0
    assert float(unit.max()) <= 1
    across = torch.linspace(0, 1, 128)
    for image, (first, second) in zip(unit, masks, strict=True):
        if min(first.sum(), second.sum()) > 400:
            centres = [(plane * across).sum() / plane.sum() for plane in (first, second)]
            assert centres[0] < centres[1]
            inside = image[0][(first + second) > 0.9]
            assert inside.median() < image[0][(first + second) < 0.1].quantile(0.9)


def test_images_made_by_code_have_no_lungs_and_follow_their_seed():
    one, same, other = (blank_images(8, seed=seed) for seed in (0, 0, 1))
    assert not one.masks.any()
    assert (one.images == same.images).all()
    assert (one.images != other.images).any()
    assert {row.source for row in one.rows} == {"noise", "slope", "shapes", "page"}


def test_the_loss_is_lowest_for_the_mask_itself_and_punishes_lungs_where_none_are():
    masks = torch.zeros(1, 2, 16, 16)
    masks[:, 0, 4:12, 2:6] = 1
    right, wrong = (masks * 2 - 1) * 20, (masks.flip(1) * 2 - 1) * 20
    assert loss_of(right, masks) < 0.01
    assert loss_of(wrong, masks) > 1
    empty = torch.zeros(1, 2, 16, 16)
    assert loss_of(right, empty) > loss_of(torch.full_like(right, -20.0), empty) + 0.5


def test_two_steps_lower_the_loss():
    torch.manual_seed(0)
    network = LungSegmenter(widths=(4, 8, 8))
    images, masks = Segmentation(LungSegmenter(), [(collection(4), 1.0)], seed=1).draw(4)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(3):
        loss = loss_of(network(images), masks)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[2] < losses[1] < losses[0]


def test_dice_counts_the_overlap_twice():
    one, other = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    one[0, :2] = other[0, 1:3] = True
    assert dice(one, other) == 0.5
    assert dice(one, one) == 1
    assert dice(one & other & False, other & False) == 1


def test_the_command_writes_weights_that_load_and_a_report(folder, tmp_path, capsys):
    out = tmp_path / "segmenter.safetensors"
    words = [
        "lung-segmenter",
        "--manifest",
        folder / "manifest.csv",
        "--masks",
        folder / "masks",
        "--out",
        out,
    ]
    words += [
        "--negatives",
        folder / "empty.csv",
        "--steps",
        "2",
        "--own-steps",
        "1",
        "--batch",
        "4",
        "--made",
        "8",
    ]
    assert main([str(word) for word in words]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(out.with_suffix(".json").read_text())
    assert report["images"] == {"train": 14, "val": 2, "test": 4}
    assert report["dice"]["test"]["both"]["n"] == 4
    assert report["empty"]["noise"]["n"] >= 2
    load_segmenter(load(out))


def test_the_command_states_what_is_missing(folder, tmp_path, capsys):
    words = [
        "lung-segmenter",
        "--manifest",
        folder / "manifest.csv",
        "--masks",
        tmp_path,
        "--out",
        tmp_path / "x",
    ]
    assert main([str(word) for word in words]) == 1
    assert "has a mask" in capsys.readouterr().err


@pytest.mark.parametrize("storage", ["fp16", "int8"])
def test_a_stored_segmenter_gives_nearly_the_same_masks(storage, tmp_path):
    torch.manual_seed(0)
    segmenter = LungSegmenter().eval()
    save(tmp_path / "s.safetensors", segmenter.state_dict(), storage)
    image = [np.random.default_rng(0).integers(0, 65535, (80, 80), dtype=np.uint16)]
    before, after = (
        lung_mask(s, image) for s in (segmenter, load_segmenter(load(tmp_path / "s.safetensors")))
    )
    assert np.abs(before - after).max() < 0.02
