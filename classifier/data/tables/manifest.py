"""Manifests: tables that list images with patients, dates and findings, read here for every part of Hilum."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from classifier.data.tables.dates import DateOrder, read_dates
from classifier.data.tables.table import Problem, Record, Table, TableError, read_table

# Other names of columns, in order of preference.
SYNONYMS = {
    "image": ("file", "filename", "path"),
    "finding": ("findings",),
    "patient": ("patient_id", "patientid"),
    "study_date": ("date", "studydate"),
    "view": ("view_position", "viewposition", "projection"),
    "sex": ("patient_sex", "patientsex", "gender"),
    "age": ("patient_age", "patientage"),
}
KNOWN = (
    *SYNONYMS,
    *(name for names in SYNONYMS.values() for name in names),
    "offset_days",
    "source",
    "split",
)
UNKNOWN = frozenset(("", "u", "unknown", "na", "n/a", "nan", "none", "null", "?"))
_ROUNDED = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)
_CELL_ERROR = re.compile(r"#(#+|N/A|REF!|NAME\?|VALUE!|DIV/0!|NULL!|NUM!)", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d{1,6}([.,]\d+)?")


@dataclass(frozen=True)
class Reading:
    """How a file is to be read, where a person states it: `dates` (dmy or mdy) and `encoding`."""

    dates: str = ""
    encoding: str = ""


@dataclass(frozen=True)
class ManifestLine:
    """A row with its date and its days after day 0, where it states them."""

    record: Record
    date: date | None
    offset_days: int | None

    @property
    def number(self) -> int:
        return self.record.line

    def get(self, column: str) -> str:
        return self.record.get(column, "")


@dataclass(frozen=True)
class ManifestTable:
    """The rows of a manifest without a problem, and the problems of the others.

    `date_order`: what dates such as 05/03/2024 were read as; `dates_unclear`: a person has to state it.
    """

    table: Table
    lines: tuple[ManifestLine, ...]
    problems: tuple[Problem, ...]
    date_order: DateOrder | None
    dates_unclear: bool

    def raise_problems(self) -> None:
        replace(self.table, problems=self.problems).raise_problems()


def read_manifest_table(
    data: bytes,
    name: str,
    *,
    required: Sequence[str] = ("image", "patient"),
    reading: Reading | None = None,
    fits: Callable[[str], bool] = lambda text: False,
    clean: Callable[[str], str] = str,
) -> ManifestTable:
    """The manifest in the bytes of a CSV, its columns under their first names (`SYNONYMS`).

    `fits` as in `text_encoding.decode`; `clean` is applied to each cell.
    Raises TableError for anything but a table with the `required` columns.
    """
    reading = reading or Reading()
    if reading.dates not in ("", *DateOrder):
        raise TableError(f"{name}: the order of dates is dmy or mdy, not {reading.dates!r}")
    found = read_table(data, name, known=KNOWN, encoding=reading.encoding, fits=fits)
    table = _renamed(found, clean)
    table.require(required)
    dates = read_dates((_known(one, "study_date") for one in table.records), reading.dates)
    lines, problems = [], list(table.problems)
    for record in table.records:
        stated = _known(record, "study_date")
        wrong = [*_damaged(record)]
        if stated in dates.problems:
            wrong.append(Problem(record.line, dates.problems[stated], "study_date", stated))
        try:
            offset = _offset(_known(record, "offset_days"))
        except ValueError as error:
            wrong.append(Problem(record.line, str(error), "offset_days", record["offset_days"]))
        problems += wrong
        if not wrong:
            lines.append(ManifestLine(record, dates.days.get(stated), offset))
    problems.sort(key=lambda problem: problem.line)
    return ManifestTable(table, tuple(lines), tuple(problems), dates.order, dates.unclear)


def _renamed(table: Table, clean: Callable[[str], str]) -> Table:
    """The table with first names for its columns; a column that has one already is not replaced."""
    names: dict[str, str] = {}
    for first, others in SYNONYMS.items():
        if first not in table.columns:
            names |= {other: first for other in [other for other in others if other in table.columns][:1]}
    columns = tuple(names.get(name, name) for name in table.columns)
    records = tuple(
        Record(one.line, {names.get(k, k): clean(v) for k, v in one.items()}) for one in table.records
    )
    return replace(table, columns=columns, records=records)


def _known(record: Record, column: str) -> str:
    text = record.get(column, "")
    return "" if text.lower() in UNKNOWN else text


def _damaged(record: Record) -> Iterator[Problem]:
    """Identifiers that a spreadsheet has replaced by something else."""
    for column in ("image", "patient"):
        value = record.get(column, "")
        if _ROUNDED.fullmatch(value):
            text = "a spreadsheet has rounded this identifier; format the column as text"
            yield Problem(record.line, text, column, value)
        elif _CELL_ERROR.fullmatch(value):
            yield Problem(record.line, "an error of the spreadsheet", column, value)


def _offset(text: str) -> int | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number of days")
    return math.floor(float(text.replace(",", ".")) + 0.5)


def naming_files(folder: Path) -> Callable[[str], bool]:
    """Whether a text, in the encoding that is tried, names a file in `folder`."""

    def fits(text: str) -> bool:
        others = [line for line in text.splitlines()[:1000] if not line.isascii()][:20]
        cells = [cell.strip(' "') for line in others for cell in re.split(r"[,;\t|]", line)]
        return any(existing_file(folder, cell) for cell in cells if cell and not cell.isascii())

    return fits


def plain_path(text: str) -> str:
    """A path as names are compared: slashes forward, in one Unicode form, without ./ at the beginning."""
    return re.sub(r"^(\.?/)+", "", unicodedata.normalize("NFC", text).replace("\\", "/"))


def existing_file(folder: Path, image: str) -> Path | None:
    """The file that a manifest in `folder` means: by its exact name, else by Unicode form or letter case."""
    direct = folder / image
    if direct.is_file():
        return direct
    found = [folder / "/"] if image.startswith("/") else [folder]
    for part in image.replace("\\", "/").split("/"):
        if part in ("", "."):
            continue
        found = [path for parent in found for path in _like(parent, part)]
    files = [path for path in found if path.is_file()]
    return files[0] if len(files) == 1 else None


def _like(folder: Path, name: str) -> Iterable[Path]:
    if name == "..":
        return [folder / name]
    if not folder.is_dir():
        return []
    same = unicodedata.normalize("NFC", name)
    entries = [(path, unicodedata.normalize("NFC", path.name)) for path in folder.iterdir()]
    exact = [path for path, known in entries if known == same]
    return exact or [path for path, known in entries if known.casefold() == same.casefold()]
