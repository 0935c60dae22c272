"""CSV of spreadsheets, read with the place of each problem, and written with no cell taken for a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from classifier.data.tables.table import Record, Table, TableError, read_table
from webapp.core.errors import CodedError

MAX_BYTES = 32 * 1024 * 1024
# The byte order mark by which spreadsheets recognise UTF-8.
MARK = "\ufeff"
# What a spreadsheet takes for the beginning of a formula, or skips on the way to one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@contextmanager
def table_errors() -> Iterator[None]:
    """Raise what is wrong with a table as CodedError `invalid`."""
    try:
        yield
    except TableError as error:
        raise CodedError("invalid", f"{error}.", "Correct the table and try again.") from error


def check_size(size: int) -> None:
    """Raise CodedError `too_large` for a table of more bytes than are read."""
    if size > MAX_BYTES:
        raise CodedError("too_large", "The table is larger than 32 MiB.", "Split it.")


def table_of(data: bytes, name: str) -> Table:
    """The rows of a CSV; raises CodedError `invalid`, `too_large` for what is none."""
    check_size(len(data))
    with table_errors():
        return without_guards(read_table(data, name))


def without_guards(table: Table) -> Table:
    """The table with the cells that `line` was given."""
    records = [
        Record(one.line, {column: unguarded(cell) for column, cell in one.items()}) for one in table.records
    ]
    return replace(table, records=tuple(records))


class _Line:
    """A file that returns each line as it is written."""

    def write(self, line: str) -> str:
        return line


_writer = csv.writer(_Line())


def line(cells: Iterable[object]) -> str:
    """One CSV line of these cells, guarded."""
    return str(_writer.writerow([guarded(value) for value in cells]))


def guarded(value: object) -> str:
    """The value as text that no spreadsheet takes for a formula (CWE-1236); numbers stay numbers."""
    text = "" if value is None else str(value)
    if isinstance(value, int | float):
        return text
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return text[1:] if text.startswith("'") and guarded(text[1:]) == text else text
