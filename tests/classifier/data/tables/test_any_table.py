"""Manifests that nobody thought of: any bytes, and any table in any form that a spreadsheet saves."""

from __future__ import annotations

import csv
import io
import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from classifier.data.tables.manifest import KNOWN, Reading, read_manifest_table
from classifier.data.tables.table import TableError, read_table

ENCODINGS = ("utf-8-sig", "utf-16", "utf-8")
SEPARATORS = (",", ";", "\t", "|")
LINE_ENDS = ("\n", "\r\n", "\r")
LETTERS = "aZ09.-_/äßéÆЖдλ患者ｶﾅ한שׁم\"'“#=+@ "


def _cell(letters: str) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(letters), min_size=1, max_size=12).filter(
        lambda text: text.strip() == text
    )


CELL = _cell(LETTERS + ",;|\t")
# With as many separators as a row behind a line break, the rest would be taken for a row.
ROW = st.tuples(CELL, CELL, CELL | _cell(LETTERS + "\n")).map(list)
CASES = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def manifest_of(data: bytes) -> bytes:
    """`data` with a manifest's heading, so that it gets past the first check."""
    return b"image,patient,study_date,offset_days\n" + data


@CASES
@given(data=st.binary(max_size=300), dates=st.sampled_from(["", "dmy", "mdy"]), headed=st.booleans())
@example(data=b"\x00\xd8\x00\xd8", dates="", headed=False)
@example(data=b'a.png,"b\n', dates="", headed=True)
@example(data=b"a.png,p,99999999999-01-01,1e400\n", dates="", headed=True)
def test_bytes_give_rows_or_problems_with_their_place(data: bytes, dates: str, headed: bool) -> None:
    whole = manifest_of(data) if headed else data
    try:
        found = read_manifest_table(whole, "m.csv", reading=Reading(dates=dates))
    except TableError:
        return
    last = 2 + sum(whole.count(end) for end in (b"\n", b"\r"))
    assert all(1 <= problem.line <= last for problem in found.problems)
    assert all(problem.at("m.csv").isprintable() for problem in found.problems)
    assert not {line.number for line in found.lines} & {p.line for p in found.problems if p.column}


@CASES
@given(
    rows=st.lists(ROW, min_size=1, max_size=6),
    encoding=st.sampled_from(ENCODINGS),
    separator=st.sampled_from(SEPARATORS),
    line_end=st.sampled_from(LINE_ENDS),
    stated=st.booleans(),
)
def test_a_table_comes_back_as_it_was_written(
    rows: list[list[str]], encoding: str, separator: str, line_end: str, stated: bool
) -> None:
    written = io.StringIO()
    written.write(f"sep={separator}{line_end}" if stated else "")
    writer = csv.writer(written, delimiter=separator, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([["image", "patient", "note"], *rows])
    found = read_table(written.getvalue().encode(encoding), "t.csv", known=KNOWN)
    assert not found.problems
    assert found.separator == separator
    assert [[row[name] for name in found.columns] for row in found.records] == rows


@pytest.mark.parametrize("seed", range(5))
def test_no_value_moves_to_another_column(seed: int) -> None:
    """A row with too many cells is a problem; one that ends early lacks its last values."""
    dice = random.Random(seed)
    lines = [f"image{number}.png,P{number},2024-03-{number % 28 + 1:02}" for number in range(60)]
    long = sorted(dice.sample(range(60), 12))
    short = [at for at in range(60) if at not in long and dice.random() < 0.2]
    for at in long:
        lines[at] += ",x"
    for at in short:
        lines[at] = lines[at].rpartition(",")[0]
    found = read_manifest_table("\n".join(["image,patient,study_date", *lines]).encode(), "m.csv")
    assert [problem.line - 2 for problem in found.problems] == long
    assert [line.number - 2 for line in found.lines if line.date is None] == short
    assert all(line.get("image") == f"image{line.number - 2}.png" for line in found.lines)
