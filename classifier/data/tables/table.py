"""Tables as spreadsheets save them: any encoding, separator and line end; each problem with its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from classifier.text_encoding import LABELS, DecodedText, decode

SEPARATORS = (",", ";", "\t", "|")
MAX_SHOWN = 60
MAX_LISTED = 10
_WORKBOOKS = {b"PK\x03\x04": "an Excel or OpenDocument workbook", b"\xd0\xcf\x11\xe0": "an Excel workbook"}
QUOTE = '"'


class TableError(ValueError):
    """The bytes are no table at all."""


@dataclass(frozen=True)
class Problem:
    """What is wrong at one place of a file; `column` and `value` are empty where the whole line is."""

    line: int
    text: str
    column: str = ""
    value: str = ""

    def __str__(self) -> str:
        return (
            f"{self.text}: {self.column + ' ' if self.column else ''}“{shown(self.value)}”"
            if self.value
            else self.text
        )

    def at(self, file: str) -> str:
        """The same with its file and line."""
        return f"{file}, line {self.line}: {self}"


@dataclass(frozen=True)
class Record(Mapping[str, str]):
    """The cells of a row by column, trimmed; `line` is where it begins in the file."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True)
class Table:
    """Rows of a table; those of `problems` are not in `records`."""

    name: str
    columns: tuple[str, ...]
    records: tuple[Record, ...]
    problems: tuple[Problem, ...]
    separator: str
    encoding: str
    encoding_guessed: bool

    def require(self, columns: Sequence[str]) -> None:
        """Raise TableError naming the columns that are missing."""
        if missing := [name for name in columns if name not in self.columns]:
            found = ", ".join(filter(None, self.columns)) or "none"
            raise TableError(f"{self.name}: missing column {', '.join(missing)} (columns found: {found})")

    def raise_problems(self) -> None:
        """Raise TableError with the first problems, and how many there are."""
        if self.problems:
            listed = [problem.at(self.name) for problem in self.problems[:MAX_LISTED]]
            more = len(self.problems) - len(listed)
            raise TableError("\n".join([*listed, *([f"and {more} more lines"] if more else [])]))


def shown(text: str, most: int = MAX_SHOWN) -> str:
    """A value as a message quotes it: on one line, visible, cut where it is long."""
    text = "".join(c if c.isprintable() else "�" for c in text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def read_table(
    data: bytes,
    name: str = "table",
    *,
    known: Collection[str] = (),
    encoding: str = "",
    fits: Callable[[str], bool] = lambda text: False,
) -> Table:
    """The table in the bytes of a CSV; column names are in small letters.

    `known` columns decide on the separator. `encoding` and `fits` as in `text_encoding.decode`.
    Raises TableError for bytes that are no table.
    """
    for magic, kind in _WORKBOOKS.items():
        if data.startswith(magic):
            raise TableError(f"{name} is {kind}: save it as CSV (UTF-8)")
    if encoding and encoding not in LABELS:
        raise TableError(f"{name}: the encoding {shown(encoding)!r} is not known")
    try:
        decoded = decode(data, encoding=encoding, fits=fits)
    except ValueError as error:
        raise TableError(f"{name} cannot be read: {error}. Save it as CSV (UTF-8)") from None
    return _table(decoded, name, frozenset(known))


def table_in(path: Path, required: Sequence[str]) -> Table:
    """The table of a file without any problem; raises TableError naming each, and OSError."""
    table = read_table(path.read_bytes(), path.name, known=required)
    table.require(required)
    table.raise_problems()
    return table


def _table(decoded: DecodedText, name: str, known: frozenset[str]) -> Table:
    lines = split_lines(decoded.text)
    first = next((at for at, line in enumerate(lines) if line.strip()), 0)
    separator = _stated_separator(lines[first]) if lines else ""
    if separator:
        first += 1
    heading = lines[first] if first < len(lines) else ""
    separator = separator or _separator(heading, known)
    parser = _Parser(lines, separator, first)
    head = parser.row() or _Row(first + 1, [], None)
    columns = tuple(cell.strip().lower() for cell in head.cells)
    while columns and not columns[-1]:
        columns = columns[:-1]
    if not columns:
        raise TableError(f"{name} is empty")
    problems = _heading_problems(head, columns)
    records = []
    parser.width = len(columns)
    while row := parser.row():
        problem = row.problem or _overlong(row, len(columns))
        if problem:
            problems.append(problem)
        elif any(cell.strip() for cell in row.cells):
            cells = [cell.strip() for cell in row.cells] + [""] * len(columns)
            records.append(Record(row.line, dict(zip(columns, cells, strict=False))))
    return Table(
        name=name,
        columns=columns,
        records=tuple(records),
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
        separator=separator,
        encoding=decoded.encoding,
        encoding_guessed=decoded.guessed,
    )


def split_lines(text: str) -> list[str]:
    """The lines of a text that ends them in any of the three ways, or in several."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if not lines[-1] else lines


def _stated_separator(line: str) -> str:
    """The separator of a first line `sep=;`, by which Excel marks its files."""
    text = line.strip(" \ufeff\"'") if line.strip() else ""
    return text[4] if text.lower().startswith("sep=") and len(text) == 5 else ""


def _separator(heading: str, known: frozenset[str]) -> str:
    """The one that gives the most known columns, then the most columns."""

    def columns(separator: str) -> tuple[int, int]:
        cells = [cell.strip(f" {QUOTE}").lower() for cell in heading.split(separator)]
        return len(known & set(cells)), len(cells)

    return max(SEPARATORS, key=columns)


def _heading_problems(head: _Row, columns: Sequence[str]) -> list[Problem]:
    twice = [name for at, name in enumerate(columns) if name and name in columns[:at]]
    found = [head.problem] if head.problem else []
    return found + [Problem(head.line, "this column is there twice", name, name) for name in twice]


def _overlong(row: _Row, width: int) -> Problem | None:
    excess = [cell for cell in row.cells[width:] if cell.strip()]
    if not excess:
        return None
    return Problem(
        row.line, f"the line has {len(row.cells)} cells, the heading {width}", "", excess[0].strip()
    )


@dataclass
class _Row:
    line: int
    cells: list[str]
    problem: Problem | None


@dataclass
class _Parser:
    """Rows of separated cells (RFC 4180). A quotation mark that is not closed is a problem of its line only.

    `width`: cells of a row, by which a line inside of quotation marks is recognised as a row.
    """

    lines: list[str]
    separator: str
    at: int
    width: int = 0
    _cells: list[str] = field(default_factory=list)

    def row(self) -> _Row | None:
        if self.at >= len(self.lines):
            return None
        start, text, cells, place = self.at, self.lines[self.at], [], 0
        self.at += 1
        while True:
            lead = len(text[place:]) - len(text[place:].lstrip(" "))
            if text[place + lead : place + lead + 1] != QUOTE:
                end = text.find(self.separator, place)
                cells.append(text[place:] if end < 0 else text[place:end])
                if end < 0:
                    return _Row(start + 1, cells, None)
                place = end + 1
                continue
            quoted = self._quoted(text, place + lead)
            if isinstance(quoted, str):
                # The rest is read as if the quotation mark were a character like any other.
                self.at = start + 1
                return _Row(start + 1, cells, Problem(start + 1, quoted, "", text[place + lead :]))
            cell, text, place = quoted
            cells.append(cell)
            if place > len(text):
                return _Row(start + 1, cells, None)

    def _quoted(self, text: str, opening: int) -> tuple[str, str, int] | str:
        """The cell that opens here, the line that it closes in and the place after it; or what is wrong."""
        parts, place, below = [], opening + 1, self.at
        while True:
            end = text.find(QUOTE, place)
            if end < 0:
                parts.append(text[place:] + "\n")
                if self._is_row(below) or below >= len(self.lines):
                    return "the quotation mark is not closed"
                text, place, below = self.lines[below], 0, below + 1
                continue
            parts.append(text[place:end])
            if text[end + 1 : end + 2] == QUOTE:
                parts.append(QUOTE)
                place = end + 2
                continue
            rest = text[end + 1 :]
            after = rest.lstrip(" ")
            if after and not after.startswith(self.separator):
                return "text follows the closing quotation mark; double each quotation mark inside a cell"
            self.at = below
            return "".join(parts), text, end + 1 + (len(rest) - len(after)) + 1

    def _is_row(self, at: int) -> bool:
        """Whether a line that quotation marks would swallow looks like a row of its own."""
        return (
            self.width > 1 and at < len(self.lines) and self.lines[at].count(self.separator) + 1 >= self.width
        )
