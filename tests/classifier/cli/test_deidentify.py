"""`python -m classifier deidentify`: pseudonymous files under pseudonymous names, and never over others."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from classifier.__main__ import main
from classifier.cli.data import deidentify as command
from classifier.images.burned_in_text import DECLARED
from classifier.images.deidentify.pseudonyms import Pseudonyms, derive_key
from tests.classifier.images.samples import chest, dataset, write

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(command.KEY_VARIABLE, KEY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images of one patient, one of another, and one without a patient."""
    folder = tmp_path / "Secretova Anna"
    folder.mkdir()
    for name, pid, day in (
        ("a", "SECRET-1", "20260101"),
        ("b", "SECRET-1", "20260201"),
        ("c", "SECRET-2", ""),
    ):
        header = {"PatientName": "Secretova^Anna", "PatientID": pid, "StudyDate": day, "PatientAge": "093Y"}
        write(folder / f"{name}.dcm", dataset(chest(), bits=12, InstanceNumber=str(ord(name)), **header))
    Image.fromarray((chest() >> 4).astype(np.uint8)).save(folder / "d.jpg", comment=b"Secretova")
    return folder


def results(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, list[dict], str]:
    status = main(["deidentify", *map(str, argv), "--json"])
    text = capsys.readouterr()
    return status, [json.loads(line) for line in text.out.splitlines()], text.err


def test_every_file_of_a_folder_comes_out_without_identity(folder: Path, tmp_path: Path, capsys) -> None:
    status, records, _ = results(capsys, folder, "--out", tmp_path / "out")
    assert status == 0
    assert [record["status"] for record in records] == ["ok"] * 4
    one, two, other, none = (Path(record["out"]) for record in records)
    assert one.parent == two.parent != other.parent
    assert none.parent.name == "no-patient"
    assert none.suffix == ".png"
    for path in (tmp_path / "out").rglob("*"):
        assert "ecret" not in str(path.relative_to(tmp_path))
        assert not path.is_file() or b"ecret" not in path.read_bytes()
    expected = Pseudonyms(derive_key(KEY.encode(), "")).patient("SECRET-1")
    assert records[0]["patient"] == one.parent.name == pydicom.dcmread(one).PatientID == expected


def test_the_same_key_gives_the_same_names_again_and_nothing_twice(
    folder: Path, tmp_path: Path, capsys
) -> None:
    _, first, _ = results(capsys, folder, "--out", tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    status, second, _ = results(capsys, folder, "--out", tmp_path / "out")
    assert status == 0
    assert [record["out"] for record in first] == [record["out"] for record in second]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")} == before


def test_another_namespace_gives_other_names(folder: Path, tmp_path: Path, capsys) -> None:
    _, one, _ = results(capsys, folder / "a.dcm", "--out", tmp_path / "out")
    _, two, _ = results(capsys, folder / "a.dcm", "--out", tmp_path / "out", "--namespace", "harbour")
    assert one[0]["patient"] != two[0]["patient"]
    assert two[0]["patient"] == Pseudonyms(derive_key(KEY.encode(), "harbour")).patient("SECRET-1")


def test_what_is_there_already_is_never_overwritten(folder: Path, tmp_path: Path, capsys) -> None:
    _, (first,), _ = results(capsys, folder / "a.dcm", "--out", tmp_path / "out")
    there = Path(first["out"])
    data = there.read_bytes()
    argv = (folder / "a.dcm", "--out", tmp_path / "out", "--keep-characteristics")
    status, (second,), _ = results(capsys, *argv)
    assert (status, second["status"], second["reason"]) == (1, "failed", "name_taken")
    assert there.read_bytes() == data
    assert not list(there.parent.glob(".*"))


def test_characteristics_are_kept_only_where_asked_for(folder: Path, tmp_path: Path, capsys) -> None:
    _, (plain,), _ = results(capsys, folder / "a.dcm", "--out", tmp_path / "one")
    _, (kept,), _ = results(capsys, folder / "a.dcm", "--out", tmp_path / "two", "--keep-characteristics")
    assert "PatientAge" not in pydicom.dcmread(plain["out"])
    assert pydicom.dcmread(kept["out"]).PatientAge == "090Y"


def test_writing_in_the_image_is_warned_of(tmp_path: Path, capsys) -> None:
    write(tmp_path / "x.dcm", dataset(chest(), bits=12, PatientID="1", BurnedInAnnotation="YES"))
    _, (record,), _ = results(capsys, tmp_path / "x.dcm", "--out", tmp_path / "out")
    assert record["warnings"] == [f"burned_in_{DECLARED}"]
    main(["deidentify", str(tmp_path / "x.dcm"), "--out", str(tmp_path / "out")])
    assert "declared in the header" in capsys.readouterr().out


def test_a_file_that_is_no_image_is_refused_and_the_others_go_on(
    folder: Path, tmp_path: Path, capsys
) -> None:
    (folder / "aa.txt").write_text("Secretova")
    status, records, _ = results(capsys, folder, "--out", tmp_path / "out")
    assert status == 0
    assert [(r["status"], r["reason"]) for r in records][:2] == [("ok", None), ("refused", "not_an_image")]


def test_an_archive_is_opened(folder: Path, tmp_path: Path, capsys) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(folder / "a.dcm", "Secretova/a.dcm")
    _, (record,), _ = results(capsys, tmp_path / "x.zip", "--out", tmp_path / "out")
    assert record["status"] == "ok"
    assert record["file"].endswith("x.zip/Secretova/a.dcm")


@pytest.mark.parametrize("text", [None, "too short"])
def test_without_a_key_it_is_reported_how_to_make_one(text, folder, tmp_path, capsys, monkeypatch) -> None:
    if text is None:
        monkeypatch.delenv(command.KEY_VARIABLE)
    else:
        monkeypatch.setenv(command.KEY_VARIABLE, text)
    status, records, error = results(capsys, folder, "--out", tmp_path / "out")
    assert (status, records) == (2, [])
    assert "--new-key FILE" in error
    assert "secrets.token_hex" in error
    assert not (tmp_path / "out").exists()


def test_a_new_key_is_kept_for_its_owner_and_never_over_another(folder: Path, tmp_path: Path, capsys) -> None:
    kept = tmp_path / "key"
    argv = (folder / "a.dcm", "--out", tmp_path / "out")
    status, (one,), _ = results(capsys, *argv, "--new-key", kept)
    assert status == 0
    assert kept.stat().st_mode & 0o777 == 0o600
    assert results(capsys, *argv, "--new-key", kept)[0] == 2
    _, (two,), _ = results(capsys, *argv, "--key-file", kept)
    assert one["out"] == two["out"]


def test_a_name_that_is_not_there_is_stated(tmp_path: Path, capsys) -> None:
    status, _, error = results(capsys, tmp_path / "absent.dcm", "--out", tmp_path / "out")
    assert status == 2
    assert "file not found" in error
