"""Tables as spreadsheets save them."""

from __future__ import annotations

import pytest

from classifier.data.tables.table import TableError, read_table

HEAD = ("image", "patient", "size")
KNOWN = ("image", "patient")


def cells(text: str | bytes, **options) -> list[tuple[str, ...]]:
    data = text.encode() if isinstance(text, str) else text
    table = read_table(data, "list.csv", known=KNOWN, **options)
    assert not table.problems
    return [tuple(record.values()) for record in table.records]


def problems(text: str) -> list[str]:
    table = read_table(text.encode(), "list.csv", known=KNOWN)
    return [problem.at(table.name) for problem in table.problems]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_every_separator_line_end_and_unicode_encoding_is_read(separator, end, encoding) -> None:
    rows = [("Image", "Patient"), ("Möwe.png", "P-1"), ("b.png", '"P' + separator + '2"')]
    text = end.join(separator.join(row) for row in rows) + end
    assert cells(text.encode(encoding)) == [("Möwe.png", "P-1"), ("b.png", f"P{separator}2")]


@pytest.mark.parametrize("mark", ["sep=;\n", '"sep=;"\n', "SEP=;\r\n", "\n\nsep=;\n"])
def test_the_separator_that_excel_states_is_used_and_its_line_counts(mark) -> None:
    table = read_table(f"{mark}image;patient\na,1.png;P\n".encode(), known=KNOWN)
    (record,) = table.records
    assert dict(record) == {"image": "a,1.png", "patient": "P"}
    assert record.line == mark.count("\n") + 2


def test_the_line_of_a_row_is_where_it_begins_in_the_file() -> None:
    text = 'image,patient,note\n\na.png,P1,"two\nlines"\n,,\nb.png,P2,\n'
    table = read_table(text.encode(), known=KNOWN)
    assert [(one.line, one["image"]) for one in table.records] == [(3, "a.png"), (6, "b.png")]
    assert table.records[0]["note"] == "two\nlines"


@pytest.mark.parametrize(
    "cell", ['17" x 14"', '14"', 'a "b" c', "it's", '""', '"word ""yes"""', '" padded "', "5'11\""]
)
def test_a_quotation_mark_inside_of_a_cell_loses_no_row(cell) -> None:
    text = f"image,patient,size\na.png,P1,{cell}\nb.png,P2,x\n"
    assert [row[:2] for row in cells(text)] == [("a.png", "P1"), ("b.png", "P2")]


@pytest.mark.parametrize(
    "cell",
    [
        '"14 x 17',  # closed nowhere
        '"14" x 17',  # closed before the end of the cell
        '"14 x 17"x',
    ],
)
def test_a_stray_quotation_mark_is_stated_with_line_and_value_and_the_other_rows_are_read(cell) -> None:
    text = f'image,patient,size\na.png,P1,{cell}\nb.png,P2,"3"\nc.png,P3,"4"\n'
    table = read_table(text.encode(), "list.csv", known=KNOWN)
    assert [record["image"] for record in table.records] == ["b.png", "c.png"]
    (problem,) = table.problems
    assert problem.line == 2
    assert cell in str(problem)


def test_a_row_between_two_stray_quotation_marks_is_not_swallowed() -> None:
    text = 'image,patient,size\na.png,P1,"14\nb.png,P2,17"\nc.png,P3,4\n'
    table = read_table(text.encode(), known=KNOWN)
    assert [record["image"] for record in table.records] == ["b.png", "c.png"]
    assert [problem.line for problem in table.problems] == [2]


def test_a_row_with_too_many_cells_is_stated() -> None:
    assert problems("image,patient\na.png,P1,extra\nb.png,P2,\n") == [
        "list.csv, line 2: the line has 3 cells, the heading 2: “extra”"
    ]


def test_cells_that_a_spreadsheet_leaves_off_at_the_end_are_empty() -> None:
    assert cells("image,patient,size\na.png,P1\n") == [("a.png", "P1", "")]


def test_a_column_that_is_there_twice_is_stated() -> None:
    assert problems("image,patient,Patient\na.png,P1,P2\n") == [
        "list.csv, line 1: this column is there twice: patient “patient”"
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04\x14\0", "list.csv is an Excel or OpenDocument workbook: save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1", "an Excel workbook"),
        (b"image,patient\na\0b,c\n\xff\n", "list.csv cannot be read"),
    ],
)
def test_what_is_no_text_is_refused_with_the_name_of_the_file(data, message) -> None:
    with pytest.raises(TableError, match=message):
        read_table(data, "list.csv")


def test_a_guessed_encoding_is_marked_and_can_be_stated() -> None:
    data = "image;patient\nΩμέγα.png;P\n".encode("cp1253")
    assert read_table(data).encoding_guessed
    table = read_table(data, encoding="cp1253")
    assert (table.records[0]["image"], table.encoding_guessed) == ("Ωμέγα.png", False)
    with pytest.raises(TableError, match="rot-13"):
        read_table(data, encoding="rot-13")


@pytest.mark.parametrize("data", [b"", b"\n", b"sep=;\n", b"\xff\xfe", b"\xef\xbb\xbf"])
def test_an_empty_file_is_no_table(data) -> None:
    with pytest.raises(TableError, match=r"list\.csv is empty"):
        read_table(data, "list.csv")


def test_a_heading_alone_is_a_table_without_rows() -> None:
    assert read_table(b"image,patient\n").records == ()


def test_a_missing_column_is_stated_with_those_that_are_there() -> None:
    table = read_table(b"bild;patient\na;b\n", "list.csv")
    with pytest.raises(TableError, match=r"list\.csv: missing column image \(columns found: bild, patient\)"):
        table.require(KNOWN)
