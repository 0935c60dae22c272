"""Pretraining asks each cell of the map about its own place, and passes on weights that training can take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.artifact.weights import import_pretrained
from classifier.contract import ModelSpec, Slot
from classifier.networks.registry import network_for
from classifier.phantom.collection import write_training_set
from classifier.phantom.render import FINDINGS
from classifier.training.pretrain.phantoms import cells_of, load, pretrain, save

SPEC = ModelSpec(name="phantom", slot=Slot.PHANTOM, findings=FINDINGS, layers=(1, 1, 1, 1), width=8, size=64)


def test_cells_inside_an_opacity_are_reported_so_and_those_at_its_edge_are_not_asked() -> None:
    cells = cells_of([(15.0, 25.0, 8.0)], (70, 70), 7)
    assert cells[2, 1] == 1
    assert set(cells[1:4, 0:3].ravel().tolist()) <= {1, -1}
    assert (cells[5:] == 0).all()
    assert (cells[:, 4:] == 0).all()


def test_an_opacity_smaller_than_a_cell_still_marks_the_nearest_one() -> None:
    cells = cells_of([(20.0, 20.0, 1.0)], (70, 70), 7)
    assert (cells == 1).any()


def test_cells_follow_the_shape_of_an_image_that_is_not_square() -> None:
    cells = cells_of([(30.0, 90.0, 9.0)], (100, 40), 5)
    assert np.argwhere(cells == 1).tolist() == [[4, 3], [4, 4]]


def test_pretrained_weights_fit_the_network_that_is_trained_next(tmp_path: Path) -> None:
    cached_images, cells = load(write_training_set(tmp_path / "set", patients=1, seed=3, size=80), SPEC)
    assert (cells[0] == 0).all(), "the clear image"
    assert all((grid == 1).any() for grid in cells[1:])
    network = pretrain(cached_images, cells, SPEC, epochs=1, batch=4, lr=1e-3, seed=0)
    save(network, tmp_path / "weights.safetensors")
    fresh = network_for(SPEC)
    assert import_pretrained(fresh, tmp_path / "weights.safetensors") == []
    assert torch.equal(fresh.fc.weight, network.fc.weight)


def test_pretraining_learns_the_place_of_a_bright_spot() -> None:
    generator = torch.Generator().manual_seed(0)
    cached_images = 0.3 + 0.02 * torch.randn(16, 1, 64, 64, generator=generator)
    cells = torch.zeros(16, 2, 2, dtype=torch.long)
    for index in range(16):
        row, column = divmod(index % 4, 2)
        cached_images[index, 0, 32 * row + 8 : 32 * row + 24, 32 * column + 8 : 32 * column + 24] += 0.5
        cells[index, row, column] = 1
    network = pretrain(cached_images, cells, SPEC, epochs=12, batch=8, lr=3e-3, seed=0).eval()
    with torch.inference_mode():
        features = network.forward_features((cached_images - SPEC.mean) / SPEC.std)
        logits = torch.einsum("kc,nchw->nkhw", network.fc.weight, features)
    found = (logits[:, 1] - logits[:, 0]).flatten(1).argmax(dim=1)
    assert (found == cells.flatten(1).argmax(dim=1)).float().mean() == pytest.approx(1.0)
