"""Manifests of a site: what each row states of its image, checked as the values of an upload are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import PurePath

from classifier.data.tables.manifest import ManifestTable, Reading, plain_path, read_manifest_table
from classifier.data.tables.table import Problem, Record
from webapp.accounts.models import Site, User
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.spreadsheets import check_size, table_errors, unguarded
from webapp.scans.uploads.stated_metadata import StatedMetadata

UPLOAD_COLUMNS = ("image", "patient")
# Columns of a manifest and the values of an upload that they state.
STATED = {"patient": "patient_id", "view": "view", "sex": "sex", "age": "age"}


def manifest_read(
    *,
    site: Site,
    data: bytes,
    name: str,
    required: Sequence[str] = UPLOAD_COLUMNS,
    reading: Reading | None = None,
    fits: Callable[[str], bool] = lambda text: False,
) -> ManifestTable:
    """The manifest in the bytes of a CSV, its dates in the order of the site where nobody states another.

    Raises CodedError `invalid`, `too_large`.
    """
    check_size(len(data))
    reading = reading or Reading()
    with table_errors():
        return read_manifest_table(
            data,
            name,
            required=required,
            reading=replace(reading, dates=reading.dates or site.date_order),
            fits=fits,
            clean=unguarded,
        )


def naming(names: Iterable[object]) -> Callable[[str], bool]:
    """Whether a text, in the encoding that is tried, names one of the files that come with the manifest."""
    files = (PurePath(str(name)).name for name in names)
    known = [plain_path(name) for name in files if not name.isascii()]
    return lambda text: any(name in plain_path(text) for name in known)


def checked(manifest: ManifestTable) -> ManifestTable:
    """The manifest without the lines whose values an upload could not have; they are problems."""
    found = [problem for row in manifest.table.records for problem in _problems(row)]
    wrong = {problem.line for problem in found}
    lines = tuple(line for line in manifest.lines if line.number not in wrong)
    problems = sorted([*manifest.problems, *found], key=lambda problem: problem.line)
    return replace(manifest, lines=lines, problems=tuple(problems))


def date_order_remember(*, site: Site, actor: User, order: str) -> None:
    """Keep the order of dates that a person stated for the first time; administrators change it later."""
    if order in ("dmy", "mdy") and Site.objects.filter(pk=site.pk, date_order="").update(date_order=order):
        site.date_order = order
        record(actor=actor, site=site, action="site.date_order_set", subject=site, detail={"order": order})


def _problems(row: Record) -> list[Problem]:
    found = []
    for column, name in STATED.items():
        value = row.get(column, "")
        try:
            StatedMetadata.parse(**{name: value})
        except CodedError as error:
            found.append(Problem(row.line, f"{error.message} {error.remedy}", column, value))
    return found
