"""Manifests of a folder: the site reads the table, this module finds the file of each of its rows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hilum_client.client import Hilum, readable

STATED = ("patient_id", "date", "view", "sex", "age")
ROWS, PROBLEMS = 5, 20


@dataclass(frozen=True)
class FolderManifest:
    """What a manifest states of the files of a folder, by their paths in it.

    `found` is the response of the site (`Hilum.read_manifest`); `missing` are images that are no files.
    """

    name: str
    found: dict[str, Any]
    files: dict[str, dict[str, Any]]
    missing: list[str]

    @property
    def is_complete(self) -> bool:
        """Whether each line was read, dates included."""
        return not self.found["problems"] and not self.found["dates_unclear"]

    def preview(self) -> Iterator[str]:
        """How the file was read, its first rows, and every problem with file, line, column and value."""
        separator = {"\t": "tab"}.get(self.found["separator"], self.found["separator"])
        guess = " (a guess: state --encoding if names look wrong)" if self.found["encoding_guessed"] else ""
        rows = self.found["rows"]
        yield f"{self.name}: {len(rows)} rows, {self.found['encoding']}{guess}, separated by {separator}"
        for row in rows[:ROWS]:
            stated = ", ".join(f"{name} {row[name]}" for name in STATED if row[name])
            yield f"  line {row['line']}: {row['image']}: {stated}"
        for one in self.found["problems"][:PROBLEMS]:
            value = f": {one['column']} “{one['value']}”" if one["value"] else ""
            yield f"{self.name}, line {one['line']}: {one['detail']}{value}"
        if len(self.found["problems"]) > PROBLEMS:
            yield f"and {len(self.found['problems']) - PROBLEMS} more problems"
        if self.found["dates_unclear"]:
            yield "State what 05/03/2024 is: --date-order dmy (5 March) or mdy (3 May)."
        yield from (f"{self.name} lists {image}, which is not in the folder" for image in self.missing)


def read_folder_manifest(
    hilum: Hilum,
    path: Path,
    folder: Path,
    files: list[Path],
    *,
    date_order: str = "",
    encoding: str = "",
    day_zero: date | None = None,
) -> FolderManifest:
    """The manifest at `path` for `files` below `folder`; raises HilumError, OSError.

    `day_zero` is the calendar date of day 0 of `offset_days`. Files of one name are distinguished by their
    folders; letter case and the form of accents do not matter.
    """
    names = {readable(file.relative_to(folder)): file for file in files}
    found = hilum.read_manifest(path, date_order=date_order, encoding=encoding, names=list(names))
    known = _by_path(list(names), folder.name)
    rows: dict[str, dict[str, Any]] = {}
    missing = []
    for row in found["rows"]:
        if name := known.get(_plain(row["image"])):
            rows[name] = _stated(row, day_zero)
        else:
            missing.append(row["image"])
    return FolderManifest(path.name, found, rows, missing)


def _by_path(names: list[str], folder: str) -> dict[str, str]:
    """Files by their path with and without the folder, and by their name alone where that is unique."""
    found: dict[str, str] = {}
    by_name: dict[str, list[str]] = {}
    for name in names:
        plain = _plain(name)
        found |= {plain: name, _plain(f"{folder}/{name}"): name}
        by_name.setdefault(plain.rpartition("/")[2], []).append(name)
    return {alone: same[0] for alone, same in by_name.items() if len(same) == 1} | found


def _plain(path: str) -> str:
    return re.sub(r"^(\.?/)+", "", unicodedata.normalize("NFC", path).replace("\\", "/")).lower()


def _stated(row: dict[str, Any], day_zero: date | None) -> dict[str, Any]:
    stated = {name: row[name] for name in STATED if row[name]}
    if not row["date"] and day_zero and row["offset_days"] is not None:
        day = day_zero + timedelta(days=row["offset_days"])
        stated |= {"date": day.isoformat(), "date_relative": True}
    return stated
