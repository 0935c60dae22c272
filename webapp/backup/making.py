"""Making a backup while the system runs.

First every deletion is held, then the database is dumped as of one instant, then the files that it names are
copied. Files never change, a row is committed after its file is stored, and a file is deleted after no row
names it: so each file that the dump names is still here when it is copied.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from webapp.analysis.stored_files.check import named_files
from webapp.audit.verification import ends
from webapp.backup import sealing
from webapp.backup.database import snapshot
from webapp.backup.errors import BackupError
from webapp.backup.repository import SECRETS, Backup, Changed, Entry, Manifest, Repository, write_entries
from webapp.core import storage
from webapp.settings.environment import secret_variables, version

NAMED = "named.jsonl"
MISSING, DAMAGED = "missing", "damaged"


@dataclass(frozen=True)
class Made:
    backup: Backup
    added: int
    pruned: int


def make_backup(folder: Path, *, passphrase: str | None, keep: int | None = None) -> Made:
    """Write a complete backup into `folder`; with `keep`, remove older ones then.

    `passphrase` None leaves the secrets out. Raises BackupError, or CodedError `backup_running`.
    """
    repository = Repository(folder)
    try:
        repository.prepare()
        with repository.locked(), storage.deletions_held(), repository.writing() as partial:
            manifest = _write_database(partial)
            added = _copy_files(repository, partial, manifest)
            if passphrase is not None:
                (partial / SECRETS).write_bytes(sealing.seal(system_secrets(), passphrase))
            backup = repository.publish(partial, manifest)
            pruned = repository.prune(keep) if keep else 0
    except OSError as error:
        raise BackupError("disk_failed", error.strerror or type(error).__name__) from error
    return Made(backup, added, pruned)


def system_secrets() -> dict[str, str]:
    """The secrets of this system by variable, generated ones included."""
    generated = {"SECRET_KEY": settings.SECRET_KEY, "DEIDENTIFY_KEY": settings.DEIDENTIFY_KEY}
    return {name: value for name, value in generated.items() if value} | secret_variables()


def _write_database(partial: Path) -> Manifest:
    with snapshot() as instant:
        database = instant.dump(partial)
        with (partial / NAMED).open("w") as out:
            for named in named_files():
                out.write(json.dumps(named) + "\n")
        applied = MigrationRecorder(connection).applied_migrations()
        return Manifest(
            version=version(),
            engine=connection.vendor,
            database=database,
            counts=instant.counts(),
            migrations=sorted(f"{app}.{name}" for app, name in applied),
            audit_ends=[asdict(end) for end in ends()],
        )


def _copy_files(repository: Repository, partial: Path, manifest: Manifest) -> int:
    added = 0

    def entries() -> Iterator[Entry]:
        nonlocal added
        for name, sha256 in _named(partial):
            try:
                with storage.open_held(name) as file:
                    added += repository.add(file, sha256)
                    size = repository.object_of(sha256).stat().st_size
            except (FileNotFoundError, Changed) as error:
                kind = DAMAGED if isinstance(error, Changed) else MISSING
                manifest.problems.append([name, kind])
                continue
            manifest.files += 1
            manifest.size += size
            yield Entry(name, sha256, size)

    write_entries(partial, entries())
    (partial / NAMED).unlink()
    return added


def _named(partial: Path) -> Iterator[tuple[str, str]]:
    with (partial / NAMED).open() as lines:
        for line in lines:
            name, sha256 = json.loads(line)
            yield name, sha256
