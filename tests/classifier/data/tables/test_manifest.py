"""Dates, identifiers and file names in manifests."""

from __future__ import annotations

import unicodedata
from datetime import date
from pathlib import Path

import pytest

from classifier.data.tables.dates import DateOrder, read_dates
from classifier.data.tables.manifest import Reading, existing_file, read_manifest_table
from classifier.data.tables.table import TableError

FIFTH_OF_MARCH = date(2024, 3, 5)


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-05", "20240305", "2024/3/5", "2024.03.05", "2024年3月5日", "05.03.2024", "5.3.2024",
        "2024-03-05 00:00:00", "2024-03-05T10:15:00Z", "05.03.2024 10:15", "5-Mar-2024", "March 5, 2024",
        "２０２４-０３-０５",
    ],
)  # fmt: skip
def test_a_date_that_can_be_read_in_one_way_is_read(text) -> None:
    found = read_dates([text])
    assert (found.days, found.problems, found.unclear) == ({text: FIFTH_OF_MARCH}, {}, False)


@pytest.mark.parametrize("text", ["05/03/2024", "5-3-2024", "05/03/2024 00:00"])
def test_a_date_that_can_be_read_in_two_ways_is_asked_about(text) -> None:
    assert read_dates([text]).unclear
    assert "which comes first" in read_dates([text]).problems[text]
    assert read_dates([text], DateOrder.DAY_FIRST).days == {text: FIFTH_OF_MARCH}
    assert read_dates([text], "mdy").days == {text: date(2024, 5, 3)}


def test_another_row_may_settle_what_comes_first_even_against_the_convention() -> None:
    found = read_dates(["05/03/2024", "31/03/2024"], "mdy")
    assert (found.order, found.days["05/03/2024"], found.problems) == (
        DateOrder.DAY_FIRST,
        FIFTH_OF_MARCH,
        {},
    )


def test_rows_that_contradict_each_other_are_stated() -> None:
    found = read_dates(["31/03/2024", "03/31/2024"])
    assert set(found.problems) == {"31/03/2024", "03/31/2024"}
    assert read_dates(["31/03/2024", "03/31/2024"], "dmy").problems == {"03/31/2024": "there is no such day"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("05/03/24", "two digits"),
        ("05.03.24", "two digits"),
        ("45356", "number of days"),
        ("2024-02-30", "no such day"),
        ("2567-03-05", "year 2567"),
        ("yesterday", "not a date"),
        ("2024-03", "not a date"),
    ],
)
def test_what_is_no_date_is_stated(text, why) -> None:
    assert why in read_dates([text], "dmy").problems[text]


def manifest(text: str, **options):
    return read_manifest_table(text.encode(), "list.csv", **options)


def test_columns_have_one_name_whatever_the_file_calls_them() -> None:
    found = manifest("Filename;PatientID;Date;Gender\na.png;P1;05.03.2024;F\n")
    (line,) = found.lines
    assert (line.get("image"), line.get("patient"), line.date, line.get("sex"), line.number) == (
        "a.png", "P1", FIFTH_OF_MARCH, "F", 2,
    )  # fmt: skip


def test_a_date_that_is_wrong_is_stated_with_line_column_and_value() -> None:
    found = manifest("image,patient,date\na.png,P1,2024-03-05\nb.png,P2,soon\nc.png,P3,NA\n")
    assert [line.get("image") for line in found.lines] == ["a.png", "c.png"]
    (problem,) = found.problems
    assert (problem.line, problem.column, problem.value) == (3, "study_date", "soon")
    with pytest.raises(TableError, match=r"list\.csv, line 3: not a date"):
        found.raise_problems()


@pytest.mark.parametrize("value", ["1.23457E+11", "1,2E+09", "#REF!", "#N/A", "#####"])
def test_an_identifier_that_a_spreadsheet_has_destroyed_is_stated(value) -> None:
    found = manifest(f"image;patient\na.png;{value}\nb.png;P2\n")
    assert [(problem.line, problem.column, problem.value) for problem in found.problems] == [
        (2, "patient", value)
    ]
    assert len(found.lines) == 1


@pytest.mark.parametrize(
    ("text", "days"), [("7", 7), ("-3", -3), ("7.0", 7), ("7,0", 7), ("", None), ("nan", None)]
)
def test_days_after_day_0_are_whole_numbers(text, days) -> None:
    (line,) = manifest(f"image;patient;offset_days\na.png;P1;{text}\n").lines
    assert line.offset_days == days
    assert manifest("image;patient;offset_days\na.png;P1;a week\n").problems[0].column == "offset_days"


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(TableError, match="dmy or mdy"):
        manifest("image,patient\n", reading=Reading(dates="ydm"))


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("Größe.png", unicodedata.normalize("NFD", "Größe.png")),
        (unicodedata.normalize("NFD", "Größe.png"), "Größe.png"),
        ("Ward\\A.PNG", "ward/a.png"),
        ("./ward/a.png", "ward/a.png"),
    ],
)
def test_a_file_is_found_by_unicode_form_letter_case_and_slash(tmp_path: Path, written, there) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).touch()
    assert existing_file(tmp_path, written) == tmp_path / there
    assert existing_file(tmp_path, "gone.png") is None


def test_a_file_that_could_be_either_of_two_is_none(tmp_path: Path) -> None:
    for name in ("a.png", "A.png"):
        (tmp_path / name).touch()
    assert existing_file(tmp_path, "A.png") == tmp_path / "A.png"
    assert existing_file(tmp_path, "A.PNG") is None
