"""Whether backups are what they were: every hash is computed again."""

from __future__ import annotations

import os
from collections.abc import Iterator

from webapp.backup.database import is_readable
from webapp.backup.errors import BackupError
from webapp.backup.repository import FILES, Backup, Repository, sha256_of

DAMAGED = ".damaged"


def verify(repository: Repository, name: str = "") -> Iterator[str]:
    """What is wrong with the backup of this name (default: with all of them), a line each.

    A damaged file is set aside, so that the next backup stores it again.
    """
    backups = [repository.find(name)] if name else repository.complete()
    if not backups:
        raise BackupError("backup_missing")
    known: dict[str, str] = {}
    for backup in backups:
        broken = list(_parts(backup))
        yield from broken
        if any(FILES in line for line in broken):
            continue
        for entry in backup.entries():
            if entry.sha256 not in known:
                known[entry.sha256] = _state(repository, entry.sha256, entry.size)
            if known[entry.sha256]:
                yield f"{backup.name}: {entry.name} is {known[entry.sha256]}"


def _parts(backup: Backup) -> Iterator[str]:
    for part, sha256 in backup.manifest.parts.items():
        path = backup.folder / part
        if not path.is_file():
            yield f"{backup.name}: {part} is missing"
        elif sha256_of(path) != sha256:
            yield f"{backup.name}: {part} is damaged"
        elif part == backup.manifest.database and not is_readable(path):
            yield f"{backup.name}: {part} cannot be read"


def _state(repository: Repository, sha256: str, size: int) -> str:
    path = repository.object_of(sha256)
    if not path.is_file():
        return "missing"
    if path.stat().st_size == size and sha256_of(path) == sha256:
        return ""
    os.replace(path, path.with_name(path.name + DAMAGED))
    return "damaged"
