"""The client with a manifest: the site reads it, as it does for the upload page."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from webapp.scans.models import Upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(
        (unicodedata.normalize("NFD", "Jörg.png"), "b.png", "more/c.png", "other.png")
    ):
        (folder / name).write_bytes(b"\x89PNG %d" % number)
    return folder


@pytest.fixture
def upload(hilum, folder, monkeypatch, capsys):
    """Runs `hilum upload --manifest` with these bytes; returns the exit status and what it printed."""
    from hilum_client import __main__ as command

    def run(table: bytes, *options: str) -> tuple[int, str]:
        path = folder.parent / "list.csv"
        path.write_bytes(table)
        monkeypatch.setenv("HILUM_TOKEN", "x")
        monkeypatch.setattr(command, "Hilum", lambda *_, **__: hilum)
        monkeypatch.setattr(type(hilum), "close", lambda self: None)
        status = command.main(["upload", str(folder), "--manifest", str(path), *options])
        return status, capsys.readouterr().err

    return run


def stated() -> dict[str, tuple[str, str]]:
    return {
        unicodedata.normalize("NFC", one.filename): (one.stated_patient_id, str(one.stated_date or ""))
        for one in Upload.objects.all()
    }


TEXT = "image,patient,date\nJörg.png,P1,2024-03-05\nb.png,P2,2024-03-06\nMORE\\c.png,P3,\n"


@pytest.mark.parametrize(
    "table",
    [
        TEXT.encode(),
        TEXT.encode("utf-16"),
        TEXT.encode("cp1252"),
        TEXT.encode("cp850"),
        ("sep=;\n" + TEXT.replace(",", ";")).encode("utf-8-sig"),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("2024-03-05", "05.03.2024").replace("2024-03-06", "6. 3. 2024").encode(),
        TEXT.replace(",P", ',14" x 17",P').replace("image,", "image,size,").encode(),
    ],
    ids=["utf-8", "utf-16", "windows-1252", "dos", "sep", "cr", "local dates", "stray quote"],
)
def test_each_file_has_what_its_line_states(upload, table):
    status, _ = upload(table)
    assert status == 0
    assert stated() == {"Jörg.png": ("P1", "2024-03-05"), "b.png": ("P2", "2024-03-06"), "c.png": ("P3", "")}


def test_a_preview_uploads_nothing_and_states_what_is_left_out(upload):
    status, text = upload(TEXT.encode() + b"gone.png,P4,\n", "--preview")
    assert (status, Upload.objects.count()) == (0, 0)
    assert "list.csv: 4 rows, UTF-8, separated by ," in text
    assert "line 3: b.png: patient_id P2, date 2024-03-06" in text
    assert "lists gone.png, which is not in the folder" in text
    assert "3 files listed, 1 left out" in text


def test_a_problem_is_reported_with_its_place_and_nothing_uploaded(upload):
    status, text = upload(b"image,patient,date\nb.png,P2,2024-02-30\n")
    assert (status, Upload.objects.count()) == (1, 0)
    assert "list.csv, line 2: there is no such day: study_date “2024-02-30”" in text


def test_an_unclear_date_has_to_be_stated(upload):
    table = b"image,patient,date\nb.png,P2,05/03/2024\n"
    status, text = upload(table)
    assert status == 1
    assert "--date-order" in text
    assert upload(table, "--date-order", "mdy")[0] == 0
    assert stated() == {"b.png": ("P2", "2024-05-03")}


def test_days_after_day_zero_are_relative_dates(upload):
    assert upload(b"image,patient,offset_days\nb.png,P2,3\n", "--day-zero", "2020-01-01")[0] == 0
    assert stated() == {"b.png": ("P2", "2020-01-04")}
    assert Upload.objects.get().stated_date_relative


def test_a_file_whose_name_is_not_utf_8_is_listed_as_it_is_shown(upload, folder):
    with open(os.fsencode(folder) + b"/J\xf6.png", "wb") as file:
        file.write(b"\x89PNG x")
    assert upload(b"image,patient\nJ%F6.png,P5\n")[0] == 0
    assert stated() == {"J%F6.png": ("P5", "")}
