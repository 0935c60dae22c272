from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from classifier.contract import ModelSpec, Slot
from classifier.data import Row, draw_weights, read_manifest, targets_of, unit_squares, with_split
from classifier.images import reading
from classifier.preprocess import Box, to_unit_square
from tests.classifier.collection import write_collection, write_manifest

SPEC = ModelSpec(name="tiny", slot=Slot.CXR, findings=("left", "right"), size=64)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return read_manifest(write_collection(tmp_path_factory.mktemp("pictures"), patients=12, unknown=2))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"image": "000-0.png", "finding": "left"}, "missing column patient"),
        ({"image": "000-0.png", "finding": "left", "patient": ""}, "line 2: image and patient"),
        ({"image": "gone.png", "finding": "left", "patient": "a"}, "line 2: there is no file gone.png"),
    ],
)
def test_a_manifest_that_is_wrong_says_where(tmp_path, line, message):
    write_collection(tmp_path, patients=1)
    with pytest.raises(ValueError, match=message):
        read_manifest(write_manifest(tmp_path / "wrong.csv", [line]))


def test_an_image_listed_twice_is_refused(tmp_path):
    write_collection(tmp_path, patients=1)
    line = {"image": "000-0.png", "finding": "left", "patient": "a"}
    with pytest.raises(ValueError, match="listed twice"):
        read_manifest(write_manifest(tmp_path / "twice.csv", [line, line]))


def test_several_findings_are_parted_and_an_empty_one_is_unknown(tmp_path):
    write_collection(tmp_path, patients=1)
    lines = [
        {"image": "000-0.png", "finding": "left|right", "patient": "a", "age": "61", "split": "test"},
        {"image": "000-1.png", "finding": "", "patient": "b", "age": "unknown", "split": ""},
    ]
    both, unknown = read_manifest(write_manifest(tmp_path / "two.csv", lines))
    assert (both.findings, both.age, both.split) == (("left", "right"), 61.0, "test")
    assert (unknown.findings, unknown.age, unknown.split) == (None, None, None)


def test_an_unknown_finding_is_neither_present_nor_absent(rows):
    targets = targets_of(rows, SPEC.findings)
    assert np.isnan(targets[:4]).all()
    assert (targets[4:].sum(axis=1) == 1).all()


def test_a_finding_that_the_model_does_not_have_is_named(rows):
    with pytest.raises(ValueError, match="'right' is not among left, other"):
        targets_of(rows, ("left", "other"))


def test_a_manifests_own_split_is_kept(rows):
    assert with_split(with_split(rows, seed=0), seed=5) == with_split(rows, seed=0)


def uneven(rows):
    """Rows of which the source `north` has twice as many as `south`."""
    north = [row for row in rows if row.source == "north" and row.findings]
    return north + [row for row in rows if row.source == "south" and row.findings][:4]


@pytest.mark.parametrize(("balance", "north_to_south"), [(0.0, 2.0), (0.5, 2**0.5), (1.0, 1.0)])
def test_findings_are_drawn_alike_and_sources_as_asked(rows, balance, north_to_south):
    chosen = uneven(rows)
    by_finding, by_source = Counter(), defaultdict(float)
    for row, weight in zip(chosen, draw_weights(chosen, source_balance=balance), strict=True):
        by_finding[row.findings] += weight
        by_source[row.findings, row.source] += weight
    assert list(by_finding.values()) == pytest.approx([0.5, 0.5])
    for finding in by_finding:
        assert by_source[finding, "north"] / by_source[finding, "south"] == pytest.approx(north_to_south)


def test_an_unknown_finding_is_never_drawn(rows):
    weights = draw_weights(rows, source_balance=0.5)
    assert not weights[:4].any()
    assert weights.sum() == pytest.approx(1)


def test_pictures_are_kept_as_serving_would_see_them(rows, tmp_path):
    squares, refused = unit_squares(rows, SPEC, tmp_path, progress=False)
    expected = to_unit_square(reading.read(rows[5].path).working, SPEC)[0].numpy()
    assert not refused
    assert squares.shape == (len(rows), 64, 64)
    assert np.abs(squares[5] / 255 - expected).max() <= 0.5 / 255 + 1e-6


def test_a_second_run_reads_no_picture_again(rows, tmp_path, monkeypatch):
    first, _ = unit_squares(rows, SPEC, tmp_path, progress=False)
    monkeypatch.setattr(reading, "read", lambda path: pytest.fail("read again"))
    second, _ = unit_squares(rows, SPEC, tmp_path, progress=False)
    assert (first == second).all()


def test_a_refused_picture_is_reported_and_the_others_are_kept(tmp_path):
    manifest = write_collection(tmp_path, patients=2)
    (tmp_path / "001-0.png").write_text("no picture")
    squares, refused = unit_squares(read_manifest(manifest), SPEC, tmp_path / "cache", progress=False)
    assert refused == {"001-0.png": "not_an_image"}
    assert squares[3].any()


def test_a_part_that_is_kept_of_each_picture_has_a_cache_of_its_own(tmp_path):
    rows = read_manifest(write_collection(tmp_path / "pictures", patients=2))
    whole, _ = unit_squares(rows, SPEC, tmp_path, progress=False)
    half = Box(0.0, 0.0, 0.5, 1.0)
    part, _ = unit_squares(
        rows, SPEC, tmp_path, progress=False, box_of=lambda working: half, boxes="left half"
    )
    expected = to_unit_square(reading.read(rows[0].path).working[:, :40], SPEC)[0].numpy()
    assert np.abs(part[0] / 255 - expected).max() < 0.003
    assert not np.array_equal(part[0], whole[0])


def test_findings_come_as_often_as_they_do_unless_they_are_evened_out():
    rows = [Row(f"{n}", Path(f"{n}"), (finding,), f"p{n}") for n, finding in enumerate(["a", "a", "a", "b"])]
    assert draw_weights(rows, source_balance=0.0, even=False) == pytest.approx([0.25] * 4)
    assert draw_weights(rows, source_balance=0.0) == pytest.approx([1 / 6] * 3 + [0.5])
