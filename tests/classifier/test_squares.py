"""Images of a manifest, prepared once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.contract import ModelSpec, Slot
from classifier.data import image_cache as squares_module
from classifier.data.image_cache import Images, unit_squares
from classifier.data.manifest import read_manifest
from classifier.images.read import read_image
from classifier.networks.preprocess import Box, to_unit_square
from tests.classifier.collection import write_collection

SPEC = ModelSpec(name="tiny", slot=Slot.CXR, findings=("left", "right"), size=64)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return read_manifest(write_collection(tmp_path_factory.mktemp("images"), patients=12, unknown=2))


def test_images_are_kept_as_serving_would_see_them(rows, tmp_path):
    squares, refused = unit_squares(rows, SPEC, tmp_path, progress=False)
    expected = to_unit_square(read_image(rows[5].path).working, SPEC)[0].numpy()
    assert not refused
    assert squares.shape == (len(rows), 64, 64)
    assert np.abs(squares[5] / 255 - expected).max() <= 0.5 / 255 + 1e-6


def test_a_second_run_reads_no_image_again(rows, tmp_path, monkeypatch):
    first, _ = unit_squares(rows, SPEC, tmp_path, progress=False)
    monkeypatch.setattr("classifier.data.manifest.read_image", lambda path, slot: pytest.fail("read again"))
    second, _ = unit_squares(rows, SPEC, tmp_path, progress=False)
    assert (first == second).all()


def test_a_run_with_more_images_reads_the_new_ones_alone(rows, tmp_path, monkeypatch):
    few, _ = unit_squares(rows[::2], SPEC, tmp_path, progress=False)
    opened, read = [], read_image
    monkeypatch.setattr(
        "classifier.data.manifest.read_image", lambda path, slot: opened.append(path) or read(path, slot)
    )
    many, _ = unit_squares(rows, SPEC, tmp_path, progress=False)
    assert opened == [row.path for row in rows[1::2]]
    assert (many[::2] == few).all()


def test_a_image_that_has_changed_is_read_again(tmp_path):
    rows = read_manifest(write_collection(tmp_path / "images", patients=2))
    before, _ = unit_squares(rows, SPEC, tmp_path, progress=False)
    rows[0].path.write_bytes(rows[-1].path.read_bytes() + b" ")
    after, _ = unit_squares(rows, SPEC, tmp_path, progress=False)
    assert (after[0] == before[-1]).all()


def test_a_refused_image_is_reported_and_the_others_are_kept(tmp_path):
    manifest = write_collection(tmp_path, patients=2)
    (tmp_path / "001-0.png").write_text("no image")
    squares, refused = unit_squares(read_manifest(manifest), SPEC, tmp_path / "cache", progress=False)
    assert refused == {"001-0.png": "not_an_image"}
    assert squares[3].any()


def test_a_part_that_is_kept_of_each_image_has_a_cache_of_its_own(tmp_path):
    rows = read_manifest(write_collection(tmp_path / "images", patients=2))
    whole, _ = unit_squares(rows, SPEC, tmp_path, progress=False)
    half = Box(0.0, 0.0, 0.5, 1.0)
    part, _ = unit_squares(
        rows, SPEC, tmp_path, progress=False, box_of=lambda working: half, boxes="left half"
    )
    expected = to_unit_square(read_image(rows[0].path).working[:, :40], SPEC)[0].numpy()
    assert np.abs(part[0] / 255 - expected).max() < 0.003
    assert not np.array_equal(part[0], whole[0])


def test_runs_that_keep_the_same_images_at_once_do_not_see_each_others_halves(rows, tmp_path, monkeypatch):
    looked, write, reading_one = [], Path.write_text, squares_module.image_of

    def other_run(*_) -> None:
        monkeypatch.setattr(squares_module, "image_of", reading_one)
        looked.append(unit_squares(rows, SPEC, tmp_path, progress=False)[0])

    def interrupted(path: Path, text: str) -> int:
        write(path, text[:10])
        monkeypatch.setattr(Path, "write_text", write)
        other_run()
        return write(path, text)

    def first_image(*how):
        other_run()  # is quicker, and through before this one writes
        monkeypatch.setattr(Path, "write_text", interrupted)
        return reading_one(*how)

    monkeypatch.setattr(squares_module, "image_of", first_image)
    mine, _ = unit_squares(rows, SPEC, tmp_path, progress=False)
    assert len(looked) == 2
    assert all((mine == theirs).all() for theirs in looked)


@pytest.mark.gpu
def test_images_held_on_the_card_are_those_of_the_file(rows, tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    squares, _ = unit_squares(rows, SPEC, tmp_path, progress=False)
    index, chosen = np.arange(2, len(rows)), np.array([3, 0, 3])
    held, read = (Images(squares, index, torch.device(device)) for device in ("cuda", "cpu"))
    assert held.held is not None
    assert read.held is None
    assert torch.allclose(held(chosen).cpu(), read(chosen), rtol=0, atol=1e-6)
    assert torch.allclose(read(chosen)[0, 0], torch.from_numpy(squares[5]) / 255)
