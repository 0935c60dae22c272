"""The shortcut test reports a model that looks at lungs from one that looks at the edge of the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classifier.artifact.weights import load_artifact, save_artifact
from classifier.contract import ModelSpec, Slot
from classifier.data.manifest import Row, read_manifest
from classifier.evaluation.shortcuts import (
    fitted_mask,
    of_artifact,
    share_inside,
    shortcut_test,
    visible_part,
    without,
)
from classifier.networks.lung_segmenter import LungSegmenter
from classifier.networks.registry import network_for
from tests.classifier.collection import write_collection

SPEC = ModelSpec(name="tiny", slot=Slot.CXR, findings=("normal", "pneumonia"), size=64)
LUNGS = np.zeros((64, 64), bool)
LUNGS[16:48, 16:48] = True
CENTRE, CORNER = (slice(24, 40), slice(24, 40)), (slice(0, 8), slice(0, 8))


class Looks(nn.Module):
    """Ranks pneumonia by the brightness of one place: a map of two channels, 8 x 8 cells."""

    def __init__(self, place: tuple[slice, slice]) -> None:
        super().__init__()
        self.fc = nn.Linear(1, 2)
        self.fc.weight.data, self.fc.bias.data = torch.tensor([[-40.0], [40.0]]), torch.zeros(2)
        self.register_buffer("where", torch.zeros(1, 1, 64, 64))
        self.where[0, 0][place] = 1

    def forward_features(self, batch: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(batch * self.where, 8)

    def forward_head(self, features: Tensor) -> Tensor:
        return self.fc(features.mean(dim=(2, 3)))

    def forward(self, batch: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(batch))


def row(number: int) -> Row:
    finding, source = ("normal", "pneumonia")[number % 2], ("north", "south")[number // 2 % 2]
    return Row(f"{number}.png", Path(f"{number}.png"), (finding,), f"p{number}", source)


def image(row: Row, places: tuple = (CENTRE, CORNER)) -> np.ndarray:
    """Noise; pneumonia has a bright place in the lungs and a mark in the corner, by which one can cheat."""
    rng = np.random.default_rng(int(row.patient[1:]))
    grey = rng.uniform(10_000, 40_000, (64, 64))
    grey[0, 16:48], grey[-1, 16:48] = 0, 65_535  # black and white are the same in every image
    for place in places if row.findings == ("pneumonia",) else ():
        grey[place] += 20_000
    return grey.astype(np.uint16)


def marked(row: Row) -> np.ndarray:
    return image(row, (CORNER,))


def outcome(place: tuple[slice, slice], count: int = 80, **how) -> dict:
    rows = [row(number) for number in range(count)]
    lungs = lambda images: [LUNGS] * len(images)  # noqa: E731
    how = {"draws": 50, "cases": count, "working": image} | how
    return shortcut_test(Looks(place), SPEC, rows, how.pop("lungs", lungs), **how)


def macro(found: dict, view: str) -> float:
    return found[view]["auc"]["macro_auc"]["value"]


def test_a_model_that_reads_lungs_is_at_a_loss_when_they_are_hidden():
    found = outcome(CENTRE)
    assert macro(found, "whole") > 0.98
    assert macro(found, "lungs_only") > 0.98
    assert abs(macro(found, "lungs_hidden") - 0.5) < 0.2


def test_a_model_that_reads_a_mark_still_knows_when_the_lungs_are_hidden():
    found = outcome(CORNER, working=marked)
    assert macro(found, "lungs_hidden") > 0.98
    assert abs(macro(found, "lungs_only") - 0.5) < 0.2
    assert set(found["lungs_hidden"]["within_source"]) == {
        "north: normal against pneumonia",
        "south: normal against pneumonia",
    }


def test_maps_lie_where_the_model_looks():
    shares = [outcome(place)["maps_inside_lungs"]["pneumonia"]["value"] for place in (CENTRE, CORNER)]
    assert shares == pytest.approx([1, 0], abs=0.05)


def test_a_source_that_the_features_report_is_found_out():
    rows = [row(number) for number in range(80)]

    def tinted(one: Row) -> np.ndarray:
        grey = image(one).astype(np.int64)
        grey[CORNER] = 5_000 if one.source == "north" else 60_000
        return grey.astype(np.uint16)

    lungs = lambda images: [LUNGS] * len(images)  # noqa: E731
    probe = shortcut_test(Looks(CORNER), SPEC, rows, lungs, working=tinted, draws=20)["source_probe"]
    assert probe["normal"]["sources"] == ["north", "south"]
    assert probe["normal"]["balanced_accuracy"]["value"] > 0.95
    assert probe["normal"]["chance"] == 0.5
    blind = shortcut_test(Looks(CENTRE), SPEC, rows, lungs, working=tinted, draws=20)["source_probe"]
    assert blind["normal"]["balanced_accuracy"]["value"] < 0.8


def test_images_without_lungs_are_counted_and_left_out():
    lungs = lambda images: [LUNGS & (number % 4 > 0) for number, _ in enumerate(images)]  # noqa: E731
    found = outcome(CENTRE, lungs=lungs)
    assert (found["cases"], found["without_lungs"]) == (60, 20)
    nowhere = outcome(CENTRE, count=20, lungs=lambda images: [np.zeros((64, 64), bool)] * len(images))
    assert nowhere == {"cases": 0, "without_lungs": 20}


def test_no_more_images_are_looked_at_than_were_asked_for():
    assert outcome(CENTRE, cases=24)["cases"] == 24


def test_what_is_hidden_is_filled_with_its_surroundings():
    square = np.full((64, 64), 0.25)
    square[LUNGS] = 0.9
    filled = without(square, LUNGS)
    assert filled[~LUNGS] == pytest.approx(0.25)
    assert filled[LUNGS] == pytest.approx(0.25, abs=1e-6)
    assert without(square, np.ones((64, 64), bool)) == pytest.approx(0.5)


def test_a_mask_is_fitted_to_the_networks_size_without_moving():
    assert fitted_mask(LUNGS, 128).mean() == LUNGS.mean()
    assert (fitted_mask(np.kron(LUNGS, np.ones((2, 3))).astype(bool), 64) == LUNGS).all()


def test_a_share_of_a_map_is_by_area():
    grid = np.array([[1.0, 0.0], [0.0, -5.0]])
    assert share_inside(grid, LUNGS) == pytest.approx(0.25)
    assert share_inside(-np.abs(grid), LUNGS) is None


def test_an_artifact_is_tested_with_its_own_segmenter_or_not_at_all(tmp_path):
    spec = ModelSpec(
        name="tiny", slot=Slot.CXR, findings=("left", "right"), layers=(1, 1, 1, 1), width=4, size=64
    )
    rows = read_manifest(write_collection(tmp_path / "images", patients=4))
    state, path = network_for(spec).state_dict(), tmp_path / "m.safetensors"
    save_artifact(path, spec=spec, classifier_state=state, card={})
    assert of_artifact(load_artifact(path), rows) == {}
    segmenter = LungSegmenter()
    segmenter.head.bias.data.fill_(50.0)  # everything is lung
    save_artifact(path, spec=spec, classifier_state=state, card={}, segmenter=segmenter.state_dict())
    found = of_artifact(load_artifact(path), rows, draws=5)
    assert (found["cases"], found["lungs_share_of_image"]) == (8, 1.0)


def test_a_model_of_lungs_is_tested_on_what_it_is_shown():
    spec = replace(SPEC, crop="lungs", crop_margin=0.0)
    shown, mask = visible_part(image(row(1)), LUNGS, spec)
    assert np.array_equal(shown, image(row(1))[16:48, 16:48])
    assert mask.all()
    assert visible_part(image(row(1)), LUNGS, SPEC)[0].shape == (64, 64)
    assert visible_part(image(row(1)), np.zeros_like(LUNGS), spec)[0].shape == (64, 64)
