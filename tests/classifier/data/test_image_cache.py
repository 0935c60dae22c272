"""Images of a manifest, prepared once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.contract import ModelSpec, Slot
from classifier.data import image_cache
from classifier.data.image_cache import CachedImages, prepare, preprocessing_for
from classifier.data.manifest import read_manifest, with_split
from classifier.images.read import read_image
from classifier.networks.preprocess import Box, to_unit_square
from tests.classifier.collection import write_collection

SPEC = ModelSpec(name="tiny", slot=Slot.CXR, findings=("left", "right"), size=64)


def prepared(rows, folder, **options):
    """Images and refusals by the preprocessing of SPEC."""
    found = prepare(rows, preprocessing_for(SPEC, **options), folder, progress=False)
    return found.images, found.refused


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return read_manifest(write_collection(tmp_path_factory.mktemp("images"), patients=12, unknown=2))


def test_images_are_kept_as_serving_would_see_them(rows, tmp_path):
    cached_images, refused = prepared(rows, tmp_path)
    expected = to_unit_square(read_image(rows[5].path).working, SPEC)[0].numpy()
    assert not refused
    assert cached_images.shape == (len(rows), 64, 64)
    assert np.abs(cached_images[5] / 255 - expected).max() <= 0.5 / 255 + 1e-6


def test_a_second_run_reads_no_image_again(rows, tmp_path, monkeypatch):
    first, _ = prepared(rows, tmp_path)
    monkeypatch.setattr("classifier.data.manifest.read_image", lambda path, slot: pytest.fail("read again"))
    second, _ = prepared(rows, tmp_path)
    assert (first == second).all()


def test_a_run_with_more_images_reads_the_new_ones_alone(rows, tmp_path, monkeypatch):
    few, _ = prepared(rows[::2], tmp_path)
    opened, read = [], read_image
    monkeypatch.setattr(
        "classifier.data.manifest.read_image", lambda path, slot: opened.append(path) or read(path, slot)
    )
    many, _ = prepared(rows, tmp_path)
    assert opened == [row.path for row in rows[1::2]]
    assert (many[::2] == few).all()


def test_an_image_that_has_changed_is_read_again(tmp_path):
    rows = read_manifest(write_collection(tmp_path / "images", patients=2))
    before, _ = prepared(rows, tmp_path)
    rows[0].path.write_bytes(rows[-1].path.read_bytes() + b" ")
    after, _ = prepared(rows, tmp_path)
    assert (after[0] == before[-1]).all()


def test_a_refused_image_is_reported_and_the_others_are_kept(tmp_path):
    manifest = write_collection(tmp_path, patients=2)
    (tmp_path / "001-0.png").write_text("no image")
    cached_images, refused = prepared(read_manifest(manifest), tmp_path / "cache")
    assert refused == {"001-0.png": "not_an_image"}
    assert cached_images[3].any()


def test_a_part_that_is_kept_of_each_image_has_a_cache_of_its_own(tmp_path):
    rows = read_manifest(write_collection(tmp_path / "images", patients=2))
    whole, _ = prepared(rows, tmp_path)
    half = Box(0.0, 0.0, 0.5, 1.0)
    part, _ = prepared(rows, tmp_path, box_of=lambda working: half, boxes="left half")
    expected = to_unit_square(read_image(rows[0].path).working[:, :40], SPEC)[0].numpy()
    assert np.abs(part[0] / 255 - expected).max() < 0.003
    assert not np.array_equal(part[0], whole[0])


def test_runs_that_keep_the_same_images_at_once_do_not_see_each_others_halves(rows, tmp_path, monkeypatch):
    seen, write, decode = [], Path.write_text, image_cache.image_of

    def other_run(*_) -> None:
        monkeypatch.setattr(image_cache, "image_of", decode)
        seen.append(prepared(rows, tmp_path)[0])

    def interrupted(path: Path, text: str) -> int:
        write(path, text[:10])
        monkeypatch.setattr(Path, "write_text", write)
        other_run()
        return write(path, text)

    def first_image(*args, **options):
        other_run()  # is faster, and finished before this one writes
        monkeypatch.setattr(Path, "write_text", interrupted)
        return decode(*args, **options)

    monkeypatch.setattr(image_cache, "image_of", first_image)
    mine, _ = prepared(rows, tmp_path)
    assert len(seen) == 2
    assert all((mine == theirs).all() for theirs in seen)


def test_a_file_that_is_not_the_one_of_the_manifest_is_refused(tmp_path):
    rows = read_manifest(write_collection(tmp_path / "images", patients=2))
    rows[1] = replace(rows[1], sha256="0" * 64)
    with pytest.raises(ValueError, match=r"000-1\.png has changed since the manifest was written"):
        prepared(rows, tmp_path)


def test_kept_working_images_are_those_that_the_files_hold(tmp_path):
    rows = with_split(read_manifest(write_collection(tmp_path / "images", patients=12)), seed=0)
    found = prepare(rows, preprocessing_for(SPEC), tmp_path, keep=("val", "test"), progress=False)
    for row in rows:
        if row.split == "train":
            continue
        working, shape = found.read(row)
        decoded = read_image(row.path)
        assert (working == decoded.working).all()
        assert shape == (decoded.rows, decoded.columns)


@pytest.mark.gpu
def test_images_held_on_the_card_are_those_of_the_file(rows, tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    cached_images, _ = prepared(rows, tmp_path)
    index, chosen = np.arange(2, len(rows)), np.array([3, 0, 3])
    held, read = (CachedImages(cached_images, index, torch.device(device)) for device in ("cuda", "cpu"))
    assert held.held is not None
    assert read.held is None
    assert torch.allclose(held(chosen).cpu(), read(chosen), rtol=0, atol=1e-6)
    assert torch.allclose(read(chosen)[0, 0], torch.from_numpy(cached_images[5]) / 255)
