"""Dump and load the database by its engine's own means: SQLite's backup API, pg_dump and pg_restore.

A dump by rows would have to switch the triggers off that chain the audit log, and would lose them.
"""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from webapp.backup.errors import BackupError
from webapp.settings.environment import process_environment

FILE_OF = {"sqlite": "database.sqlite3.gz", "postgresql": "database.dump"}
TOOL_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "options", "connect_timeout")


@dataclass(frozen=True)
class Snapshot:
    """The state of the database at one instant: what this connection reads is what `dump` writes."""

    id: str = ""

    def dump(self, folder: Path) -> str:
        """Write the database into `folder`; returns the file's name. Raises BackupError."""
        name = FILE_OF[connection.vendor]
        if connection.vendor == "sqlite":
            _dump_sqlite(folder / name)
        else:
            _run(
                "pg_dump",
                "--format=custom",
                "--no-comments",
                f"--snapshot={self.id}",
                f"--file={folder / name}",
            )
        return name

    def counts(self) -> dict[str, int]:
        """The rows of each table."""
        return {table: _count(table) for table in sorted(connection.introspection.table_names())}


@contextmanager
def snapshot() -> Iterator[Snapshot]:
    """Hold one instant of the database while others go on writing; for reading only."""
    if connection.vendor == "sqlite":
        # `atomic` would take the write lock; the read lock of WAL stops nobody.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")
                yield Snapshot()
            finally:
                cursor.execute("ROLLBACK")
        return
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        yield Snapshot(cursor.fetchone()[0])


def is_empty() -> bool:
    """Whether the database has no table."""
    return not connection.introspection.table_names()


def load(file: Path) -> None:
    """Fill the empty database from a dump, whole or not at all. Raises BackupError."""
    if connection.vendor == "sqlite":
        _load_sqlite(file)
    else:
        name = str(connection.settings_dict["NAME"])
        _run("pg_restore", "--single-transaction", "--exit-on-error", f"--dbname={name}", str(file))


def is_readable(file: Path) -> bool:
    """Whether the dump can be opened and is whole, as far as that shows without loading it."""
    if file.name == FILE_OF["sqlite"]:
        return _is_sqlite(file)
    try:
        _run("pg_restore", "--list", str(file))
    except BackupError as error:
        if error.code == "tool_missing":
            raise
        return False
    return True


def _count(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608 - our tables
        return int(cursor.fetchone()[0])


def _dump_sqlite(target: Path) -> None:
    with _scratch() as folder:
        plain = Path(folder, "database.sqlite3")
        connection.ensure_connection()
        copy = sqlite3.connect(plain)
        try:
            connection.connection.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        finally:
            copy.close()
        with plain.open("rb") as source, gzip.open(target, "wb", compresslevel=3) as out:
            shutil.copyfileobj(source, out, 1 << 20)


def _load_sqlite(file: Path) -> None:
    with _scratch() as folder:
        source = sqlite3.connect(_unpacked(file, folder))
        try:
            connection.ensure_connection()
            source.backup(connection.connection)
        finally:
            source.close()
    connection.close()


def _is_sqlite(file: Path) -> bool:
    try:
        with _scratch() as folder:
            copy = sqlite3.connect(_unpacked(file, folder))
            try:
                return bool(copy.execute("PRAGMA quick_check").fetchone() == ("ok",))
            finally:
                copy.close()
    except (OSError, EOFError, sqlite3.DatabaseError):
        return False


def _unpacked(file: Path, folder: str) -> Path:
    plain = Path(folder, "database.sqlite3")
    with gzip.open(file, "rb") as source, plain.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    return plain


def _scratch() -> tempfile.TemporaryDirectory[str]:
    folder = settings.HILUM_DATA / "scratch"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=folder)


def _run(program: str, *arguments: str) -> None:
    found = shutil.which(program)
    if not found:
        raise BackupError("tool_missing", f"{program} was not found.")
    rights = [] if "--list" in arguments else ["--no-owner", "--no-privileges"]
    done = subprocess.run(
        [found, *rights, *arguments],
        env=process_environment(_tool_environment()),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        # Details and contexts of an error quote rows.
        lines = [line for line in done.stderr.splitlines() if line.startswith(f"{program}: error:")]
        raise BackupError("tool_failed", " ".join(lines)[:300])


def _tool_environment() -> dict[str, str]:
    """Connection and password for PostgreSQL's programs, out of sight of other processes' lists."""
    own = connection.settings_dict
    values = {
        "PGHOST": "HOST",
        "PGPORT": "PORT",
        "PGUSER": "USER",
        "PGPASSWORD": "PASSWORD",
        "PGDATABASE": "NAME",
    }
    found = {variable: str(own[name]) for variable, name in values.items() if own.get(name)}
    options = own.get("OPTIONS", {})
    return found | {f"PG{name.upper()}": str(options[name]) for name in TOOL_OPTIONS if options.get(name)}
