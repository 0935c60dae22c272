"""Maps are drawn to the readers' boxes; in normal images those of diseases stay inside the lungs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.__main__ import main
from classifier.contract import ModelSpec, Slot
from classifier.data.boxes import read_boxes
from classifier.data.lung_fields import SIDE, LungFields
from classifier.data.manifest import Row
from classifier.networks.lung_segmenter import LungSegmenter
from classifier.networks.preprocess import Box
from classifier.networks.registry import network_for
from classifier.training import train
from classifier.training.config import Config
from classifier.training.evidence import EvidenceLoss, lung_fields, regions_of
from classifier.training.loop import Loop
from tests.classifier.collection import write_boxes, write_collection

SPEC = ModelSpec(
    name="tiny", slot=Slot.CXR, findings=("normal", "ill"), layers=(1, 1, 1, 1), width=4, size=64
)
TINY = {"layers": (1, 1, 1, 1), "width": 4, "size": 64, "progressive": False, "batch": 8, "device": "cpu"}
NORMAL, ILL, UNKNOWN = ([1.0, 0.0], [0.0, 1.0], [torch.nan, torch.nan])


def loss_of(ill_map, targets, *, boxes=None, lungs=None):
    """The loss of one image, of the map (h, w) of `ill` in logits; boxes and lungs cover (h, w) too."""
    network = network_for(SPEC)
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.weight[:, 0] = torch.tensor([-1.0, 1.0])
    features = torch.zeros(1, network.fc.in_features, *ill_map.shape)
    features[0, 0] = ill_map
    regions = torch.stack([torch.zeros_like(ill_map) if boxes is None else boxes, torch.ones_like(ill_map)])
    if lungs is not None:
        regions[1] = lungs
    return EvidenceLoss(SPEC, network)(features, torch.tensor([targets]), regions[None]).item()


SPOT = torch.tensor([[4.0, 0, 0], [0, 0, 0], [0, 0, 0]])
HERE, THERE = torch.zeros(3, 3), torch.zeros(3, 3)
HERE[0, 0] = THERE[2, 2] = 1


def test_a_map_inside_the_boxes_costs_less_than_one_outside():
    inside, outside = (loss_of(SPOT, ILL, boxes=boxes) for boxes in (HERE, THERE))
    assert inside < 0.2
    assert outside > 4
    assert loss_of(10 * SPOT, ILL, boxes=HERE) == pytest.approx(0, abs=1e-4)


def test_a_box_that_covers_part_of_a_cell_asks_for_the_whole_cell():
    assert loss_of(10 * SPOT, ILL, boxes=0.3 * HERE) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("targets", "boxes"), [(NORMAL, HERE), (UNKNOWN, HERE), (ILL, None), (ILL, 0.01 * THERE)]
)
def test_without_a_disease_or_a_box_there_is_no_loss(targets, boxes):
    assert loss_of(SPOT, targets, boxes=boxes) == 0


def test_half_a_disease_asks_for_half_as_much():
    assert loss_of(SPOT, [0.5, 0.5], boxes=THERE) == pytest.approx(loss_of(SPOT, ILL, boxes=THERE) / 2)


def test_in_normal_images_only_positive_values_outside_the_lungs_cost():
    assert loss_of(SPOT, NORMAL, lungs=HERE) == 0
    assert loss_of(-SPOT, NORMAL, lungs=THERE) == 0
    assert loss_of(SPOT, NORMAL, lungs=THERE) == pytest.approx(4 / 9)
    assert loss_of(SPOT, ILL, lungs=THERE) == 0


def test_regions_are_those_of_the_input_part_of_the_image(tmp_path):
    lungs = np.tri(SIDE)
    fields = LungFields(tmp_path / "lungs.npz", [], find=None)
    fields.records["a"] = np.array([0.5, 0.0, 1.0, 1.0]), (lungs * 255).astype(np.uint8)
    rows = [Row(name, Path(name), None, name) for name in "ab"]
    boxes = {"a": [Box(0.5, 0.0, 0.75, 1.0)], "b": [Box(0.5, 0.0, 0.75, 1.0)]}
    (a_boxes, a_lungs), (b_boxes, b_lungs) = regions_of(rows, boxes, fields, {"a": "a", "b": "b"}) / 255
    left = np.arange(SIDE) < SIDE / 2
    assert (a_boxes == left).all()
    assert (a_lungs == lungs).all()
    assert (b_boxes == (np.arange(SIDE) // (SIDE // 4) == 2)).all()
    assert (b_lungs == 1).all()


def test_lungs_are_looked_for_where_training_needs_them(tmp_path):
    normal, ill = Row("n", Path("n"), ("normal",), "n"), Row("i", Path("i"), ("ill",), "i")
    rows = [replace(row, split=part) for part in ("train", "test") for row in (normal, ill)]
    rows.append(Row("x", Path("x"), ("ill",), "x", split="train"))
    fields = lung_fields(tmp_path, SPEC, LungSegmenter().state_dict(), rows, {"i": [Box(0, 0, 1, 1)]})
    assert fields.wanted == [True, True, False, False, False]
    assert lung_fields(tmp_path, SPEC, None, rows, {}) is None


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_collection(tmp_path_factory.mktemp("images"))


@pytest.fixture
def config(manifest, tmp_path):
    quick = {"epochs": 5, "epoch_images": 160, "lr": 5e-3, "ema": 0.9, "json": True, "name": "tiny"}
    return Config(manifest=manifest, out=tmp_path / "run", cache=manifest.parent / "cache", **TINY, **quick)


def test_maps_move_into_the_boxes_and_the_report_and_the_card_state_it(config, manifest, capsys):
    boxes = write_boxes(manifest, left="0.5,0,1,1", right="0,0,0.5,1")  # not where the patch is
    hits = []
    for weight in (0.0, 1.0):
        train.train(replace(config, out=config.out / f"{weight}", boxes=boxes, box_loss=weight))
        found = json.loads((config.out / f"{weight}" / "evaluation.json").read_text())["localisation"]
        assert found["overall"]["maps"] == 16
        assert found["overall"]["chance"] == pytest.approx(0.5)
        hits.append(found["overall"]["pointing_game"]["value"])
    assert hits[1] > 0.8 > hits[0]
    assert "## Heatmaps against readers' boxes" in (config.out / "1.0" / "model-card.md").read_text()
    command = ["evaluate", "--manifest", str(manifest), "--model", str(config.out / "1.0/model.safetensors")]
    assert main([*command, "--shortcuts", "0", "--draws", "20", "--boxes", str(boxes)]) == 0
    assert "Left: map maximum in a box" in capsys.readouterr().out


def test_a_run_that_was_killed_goes_on_to_the_same_weights(config, manifest, monkeypatch):
    monkeypatch.setattr(train, "export_model", lambda config, spec, state, **_: state)
    quick = {"epochs": 2, "epoch_images": 24, "boxes": write_boxes(manifest), "box_loss": 1.0}
    config = replace(config, **quick)
    whole = train.train(replace(config, out=config.out.with_name("whole")))
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "end_epoch", stopped_after_one(Loop.end_epoch))
        with pytest.raises(KeyboardInterrupt):
            train.train(config)
    resumed = train.train(replace(config, resume=True))
    for name, tensor in whole.items():
        assert torch.allclose(tensor, resumed[name], atol=1e-4), name


def stopped_after_one(end_epoch):
    def wrapper(loop):
        if loop.epoch == 2:
            raise KeyboardInterrupt
        return end_epoch(loop)

    return wrapper


def test_a_loss_on_boxes_without_boxes_is_refused(config):
    with pytest.raises(ValueError, match="--box-loss 1 requires --boxes"):
        train.train(replace(config, box_loss=1.0))


def test_boxes_of_other_images_are_refused(config, manifest):
    boxes = write_boxes(manifest)
    boxes.write_text(boxes.read_text().replace(".png", ".jpg"))
    with pytest.raises(ValueError, match="no box of an image of the manifest"):
        read_boxes(boxes, ["000-0.png"])
