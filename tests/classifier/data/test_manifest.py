from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from classifier.contract import ModelSpec, Slot
from classifier.data.manifest import Row, draw_weights, read_manifest, targets_of, with_split
from tests.classifier.collection import write_collection, write_manifest

SPEC = ModelSpec(name="tiny", slot=Slot.CXR, findings=("left", "right"), size=64)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return read_manifest(write_collection(tmp_path_factory.mktemp("images"), patients=12, unknown=2))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"image": "000-0.png", "finding": "left"}, "missing column patient"),
        ({"image": "000-0.png", "finding": "left", "patient": ""}, "line 2: image and patient"),
        ({"image": "gone.png", "finding": "left", "patient": "a"}, "line 2: file 'gone.png' does not exist"),
    ],
)
def test_a_manifest_that_is_wrong_states_where(tmp_path, line, message):
    write_collection(tmp_path, patients=1)
    with pytest.raises(ValueError, match=message):
        read_manifest(write_manifest(tmp_path / "wrong.csv", [line]))


def test_an_image_listed_twice_is_refused(tmp_path):
    write_collection(tmp_path, patients=1)
    line = {"image": "000-0.png", "finding": "left", "patient": "a"}
    with pytest.raises(ValueError, match="listed twice"):
        read_manifest(write_manifest(tmp_path / "twice.csv", [line, line]))


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (["source=here"], ["000-0.png", "000-1.png"]),
        (["source=here", "finding!=left"], ["000-1.png"]),
        (["source!=here"], ["001-0.png"]),
        (["finding="], ["001-0.png"]),
    ],
)
def test_only_the_rows_that_meet_every_condition_are_read(tmp_path, where, kept):
    write_collection(tmp_path, patients=2)
    lines = [
        {"image": "000-0.png", "finding": "left", "patient": "a", "source": "here"},
        {"image": "000-1.png", "finding": "right", "patient": "a", "source": "here"},
        {"image": "001-0.png", "finding": "", "patient": "b", "source": "there"},
    ]
    manifest = write_manifest(tmp_path / "three.csv", lines)
    assert [row.image for row in read_manifest(manifest, where=where)] == kept


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("hospital=here", "not COLUMN=VALUE"),
        ("source", "not COLUMN=VALUE"),
        ("source=nowhere", "no rows where"),
    ],
)
def test_a_condition_that_cannot_be_met_is_refused(tmp_path, where, message):
    write_collection(tmp_path, patients=1)
    line = {"image": "000-0.png", "finding": "left", "patient": "a", "source": "here"}
    with pytest.raises(ValueError, match=message):
        read_manifest(write_manifest(tmp_path / "one.csv", [line]), where=[where])


def test_several_findings_are_unmerged_and_an_empty_one_is_unknown(tmp_path):
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
    with pytest.raises(ValueError, match="unknown finding 'right': the model has left, other"):
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


def test_findings_come_as_often_as_they_do_unless_they_are_evened_out():
    rows = [Row(f"{n}", Path(f"{n}"), (finding,), f"p{n}") for n, finding in enumerate(["a", "a", "a", "b"])]
    assert draw_weights(rows, source_balance=0.0, even=False) == pytest.approx([0.25] * 4)
    assert draw_weights(rows, source_balance=0.0) == pytest.approx([1 / 6] * 3 + [0.5])
