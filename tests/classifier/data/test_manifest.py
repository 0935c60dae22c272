from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from dataclasses import replace
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
        (
            {"image": "000-0.png", "finding": "left", "patient": ""},
            "wrong.csv, line 2: patient must not be empty",
        ),
        (
            {"image": "gone.png", "finding": "left", "patient": "a"},
            "line 2: the file does not exist: image “gone.png”",
        ),
    ],
)
def test_a_manifest_that_is_wrong_states_where(tmp_path, line, message):
    write_collection(tmp_path, patients=1)
    with pytest.raises(ValueError, match=message):
        read_manifest(write_manifest(tmp_path / "wrong.csv", [line]))


@pytest.mark.parametrize(
    ("one", "other"),
    [("Left", "left"), ("left", " LEFT"), ("ground glass", "ground_glass"), ("left", "ｌｅｆｔ")],
)
def test_two_spellings_of_a_finding_are_not_two_classes(tmp_path, one, other):
    write_collection(tmp_path, patients=2)
    lines = [
        {"image": "000-0.png", "finding": one, "patient": "a"},
        {"image": "001-0.png", "finding": f"fracture|{other}", "patient": "b"},
    ]
    message = f"two.csv, line 3: line 2 has “{one}”; .*: finding “{other.strip()}”"
    with pytest.raises(ValueError, match=message):
        read_manifest(write_manifest(tmp_path / "two.csv", lines))


def test_every_line_that_is_wrong_is_stated_at_once(tmp_path):
    write_collection(tmp_path, patients=1)
    lines = [{"image": f"gone-{n}.png", "finding": "left", "patient": "a"} for n in range(13)]
    with pytest.raises(ValueError, match=r"line 2: .*\n.*line 3: ") as caught:
        read_manifest(write_manifest(tmp_path / "wrong.csv", lines))
    assert str(caught.value).endswith("and 3 more lines")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_manifest_saved_by_a_spreadsheet_is_read(tmp_path, separator, encoding):
    write_collection(tmp_path, patients=1)
    (tmp_path / "000-0.png").rename(tmp_path / "Größe.png")
    heading = separator.join(["Image", "Finding", "Patient ID".replace(" ", "_")])
    row = separator.join(["Größe.png", "left", "Müller"])
    (tmp_path / "saved.csv").write_bytes(f"{heading}\r\n{row}\r\n".encode(encoding))
    (found,) = read_manifest(tmp_path / "saved.csv")
    assert (found.image, found.findings, found.patient) == ("Größe.png", ("left",), "Müller")


def test_an_image_is_found_by_its_name_in_the_other_unicode_form(tmp_path):
    write_collection(tmp_path, patients=1)
    on_disk = tmp_path / unicodedata.normalize("NFD", "Größe.png")
    (tmp_path / "000-0.png").rename(on_disk)
    line = {"image": "Größe.png", "finding": "left", "patient": "a"}
    (row,) = read_manifest(write_manifest(tmp_path / "one.csv", [line]))
    assert row.path == on_disk


def test_an_image_listed_twice_is_refused(tmp_path):
    write_collection(tmp_path, patients=1)
    line = {"image": "000-0.png", "finding": "left", "patient": "a"}
    with pytest.raises(ValueError, match=r"line 3: an earlier line has the same image: image “000-0\.png”"):
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


@pytest.mark.parametrize("text", ["left", "left=2", "left=0|right=0", "left=0.5|left=0.5", "=1", "left=x"])
def test_a_soft_target_that_is_wrong_is_stated_with_its_line(tmp_path, text):
    write_collection(tmp_path, patients=1)
    line = {"image": "000-0.png", "finding": "", "patient": "a", "soft": text}
    with pytest.raises(ValueError, match=f"wrong.csv, line 2: .*soft target.*{text}"):
        read_manifest(write_manifest(tmp_path / "wrong.csv", [line]))


def soft_row(tmp_path, finding):
    write_collection(tmp_path, patients=1)
    line = {"image": "000-0.png", "finding": finding, "patient": "a", "soft": "left=0.7|right=0.3"}
    return read_manifest(write_manifest(tmp_path / "soft.csv", [line]))


def test_a_soft_target_is_used_for_training_only_and_for_an_unknown_finding_only(tmp_path):
    unsure, sure = soft_row(tmp_path, ""), soft_row(tmp_path, "right")
    assert np.isnan(targets_of(unsure, SPEC.findings)).all()
    assert targets_of(unsure, SPEC.findings, soft=True)[0] == pytest.approx([0.7, 0.3])
    assert targets_of(sure, SPEC.findings, soft=True)[0] == pytest.approx([0, 1])


def of_sources(**counts):
    """Rows of a finding in a source, as in `left_north=3`."""
    named = [name for name, count in counts.items() for _ in range(count)]
    pairs = [name.split("_") for name in named]
    return [Row(f"{n}", Path(f"{n}"), (f,), f"p{n}", s) for n, (f, s) in enumerate(pairs)]


def test_a_row_with_a_soft_target_is_drawn_for_each_finding_by_its_share():
    rows = [*of_sources(left_north=1, right_north=2), Row("s", Path("s"), None, "s", "north", soft=None)]
    rows[-1] = replace(rows[-1], soft={"left": 0.5, "right": 0.5})
    left, right, _, unsure = draw_weights(rows, source_balance=0.0)
    assert (left, right) == pytest.approx((0.5 / 1.5, 0.5 / 2.5))
    assert unsure == pytest.approx(left / 2 + right / 2)


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_a_source_with_half_the_weight_is_drawn_half_as_often_within_each_finding(balance):
    rows = of_sources(left_north=4, left_south=2, right_north=3)
    plain, halved = (
        draw_weights(rows, source_balance=balance, source_weight=weight) for weight in (None, {"south": 0.5})
    )
    assert halved[6:].sum() == pytest.approx(0.5)
    assert halved[4] / halved[0] == pytest.approx(plain[4] / plain[0] / 2)


def test_weights_that_leave_a_finding_without_images_are_refused():
    with pytest.raises(ValueError, match="leave no image with 'left' to draw"):
        draw_weights(of_sources(left_north=1, right_south=1), source_balance=1, source_weight={"north": 0})
