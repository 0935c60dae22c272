"""`python -m classifier split`: the parts of a protocol and their fingerprint, before anything is trained."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from classifier.__main__ import main
from classifier.data.manifest import Row, read_manifest
from classifier.training.config import Config
from classifier.training.dataset import rows_of, split_fingerprint
from tests.classifier.collection import write_collection


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    return write_collection(tmp_path_factory.mktemp("images"), unknown=3)


def split(capsys, manifest: Path, *options: str) -> dict:
    assert main(["split", "--manifest", str(manifest), *options, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def written(capsys, manifest: Path, *options: str) -> list[Row]:
    """The rows of the manifest that the command wrote next to the images."""
    out = manifest.with_name("split.csv")
    split(capsys, manifest, *options, "--out", str(out))
    return read_manifest(out)


def test_the_fingerprint_is_the_one_that_training_logs(manifest, tmp_path, capsys) -> None:
    stated = split(capsys, manifest, "--seed", "3")
    rows = rows_of(Config(manifest=manifest, out=tmp_path, seed=3))
    assert stated["sha256"] == split_fingerprint(rows)
    assert {part: stated[part] for part in ("train", "val", "test")} == Counter(row.split for row in rows)


def test_a_written_split_is_what_training_uses_whatever_its_seed(manifest, tmp_path, capsys) -> None:
    rows = written(capsys, manifest, "--held-out", "source=north")
    trained = rows_of(Config(manifest=manifest.with_name("split.csv"), out=tmp_path, seed=9))
    assert split_fingerprint(trained) == split_fingerprint(rows)


def test_a_written_split_can_be_extended_by_line_tools(manifest, capsys) -> None:
    """The model card's recipe adds a column with `sed`, which knows no carriage return."""
    rows = written(capsys, manifest, "--held-out", "source=north")
    out = manifest.with_name("split.csv")
    lines = out.read_bytes().removesuffix(b"\n").split(b"\n")
    out.write_bytes(b"\n".join([lines[0] + b",soft", *(line + b"," for line in lines[1:])]) + b"\n")
    assert split_fingerprint(read_manifest(out)) == split_fingerprint(rows)


def test_a_source_that_is_held_out_is_the_whole_test_part(manifest, capsys) -> None:
    rows = written(capsys, manifest, "--held-out", "source=north")
    assert {row.source for row in rows if row.split == "test"} == {"north"}
    counts = Counter(row.split for row in rows if row.source == "south")
    assert set(counts) == {"train", "val"}
    assert counts["val"] / counts.total() == pytest.approx(1 / 8, abs=0.05)


def test_folds_of_one_source_join_another_one_that_is_held_out(manifest, capsys) -> None:
    tested: Counter[str] = Counter()
    for fold in "1234":
        options = ("--held-out", "source=north", "--folds-of", "source=south", "--folds", "4", "--fold", fold)
        rows = written(capsys, manifest, *options)
        assert {row.split for row in rows if row.source == "north"} == {"test"}
        assert len({(row.patient, row.split) for row in rows}) == len({row.patient for row in rows})
        tested.update(row.image for row in rows if row.source == "south" and row.split == "test")
    assert set(tested.values()) == {1}
    assert len(tested) == sum(row.source == "south" for row in read_manifest(manifest))


def test_only_the_rows_that_folds_divide_are_tested(manifest, capsys) -> None:
    rows = written(capsys, manifest, "--folds-of", "source=south", "--folds", "4", "--fold", "1")
    assert {row.source for row in rows if row.split == "test"} == {"south"}
    assert {row.source for row in rows if row.split == "val"} == {"north", "south"}


def test_images_without_a_finding_keep_their_place_and_get_a_part(manifest, capsys) -> None:
    rows = written(capsys, manifest)
    assert [row.image for row in rows] == [row.image for row in read_manifest(manifest)]
    assert sum(row.findings is None for row in rows) == 6


def test_the_shares_of_the_parts_can_be_stated(manifest, capsys) -> None:
    counts = split(capsys, manifest, "--fractions", "0.5,0.25,0.25", "--where", "source=north")
    assert counts["train"] == pytest.approx(20, abs=2)
    assert counts["train"] + counts["val"] + counts["test"] == 40


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--folds", "4"], "--folds and --fold require each other"),
        (["--folds", "4", "--fold", "5"], "there is no fold 5 of 4"),
        (["--folds-of", "source=north"], "--folds-of requires --folds"),
        (["--held-out", "source=west"], "no rows where source=west"),
        (["--held-out", "hospital=west"], "'hospital=west' is not COLUMN=VALUE"),
    ],
)
def test_options_that_select_nothing_are_refused(manifest, capsys, options, why) -> None:
    assert main(["split", "--manifest", str(manifest), *options]) == 1
    assert why in capsys.readouterr().err


def test_a_manifest_is_not_written_where_its_images_would_be_missed(manifest, tmp_path, capsys) -> None:
    out = tmp_path / "elsewhere.csv"
    assert main(["split", "--manifest", str(manifest), "--out", str(out)]) == 1
    assert f"write --out next to {manifest.name}" in capsys.readouterr().err
    assert not out.exists()
