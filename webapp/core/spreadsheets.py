"""CSV for spreadsheets, line by line, with no cell taken for a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable

# The byte order mark by which spreadsheets recognise UTF-8.
MARK = "\ufeff"
# What a spreadsheet takes for the beginning of a formula, or skips on the way to one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


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
