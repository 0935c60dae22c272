"""The folder of backups: each file stored once, under its hash, and one folder for each complete backup.

objects/ab/ab12…                 a stored file, named by its sha256
backups/20261130T021500Z/        one backup; it gets this name when it is complete
    manifest.json                counts, hashes and versions
    files.jsonl.gz               name, sha256 and size of every file
    database.sqlite3.gz          or database.dump, of pg_dump
    secrets.json                 sealed
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from webapp.backup.errors import BackupError

FORMAT = 1
MARK = "hilum-backups.json"
MANIFEST, FILES, SECRETS = "manifest.json", "files.jsonl.gz", "secrets.json"
PARTIAL = ".partial-"
CHUNK = 1 << 20


class Changed(Exception):
    """A file is not what its hash states."""


class Entry(NamedTuple):
    """A stored file of the system: its name, and the sha256 and size of its bytes."""

    name: str
    sha256: str
    size: int


@dataclass
class Manifest:
    """What a backup contains.

    `parts` are its own files with their sha256; `problems` are stored files that it lacks: [name, why].
    """

    version: str
    engine: str
    database: str
    counts: dict[str, int]
    migrations: list[str]
    audit_ends: list[dict[str, Any]]
    name: str = ""
    created_at: str = ""
    format: int = FORMAT
    files: int = 0
    size: int = 0
    parts: dict[str, str] = field(default_factory=dict)
    problems: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class Backup:
    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.folder.name

    def entries(self) -> Iterator[Entry]:
        """Raises BackupError `backup_damaged` for a list that cannot be read."""
        try:
            with gzip.open(self.folder / FILES, "rt") as lines:
                for line in lines:
                    yield Entry(*json.loads(line))
        except (OSError, EOFError, ValueError, TypeError) as error:
            raise BackupError("backup_damaged", "The list of files cannot be read.") from error


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects, self.backups = folder / "objects", folder / "backups"

    def prepare(self) -> None:
        """Make the folders; raises BackupError `folder_invalid` for a folder with anything else in it."""
        if self.folder.is_dir() and not (self.folder / MARK).exists() and any(self.folder.iterdir()):
            raise BackupError("folder_invalid", f"{self.folder} holds other files.")
        for folder in (self.folder, self.objects, self.backups):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / MARK).write_text(json.dumps({"format": FORMAT}))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process writes at a time; raises CodedError `backup_running`."""
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BackupError("folder_invalid", "Another backup is being written to it.") from error
            yield

    def complete(self) -> list[Backup]:
        """The complete backups, oldest first; raises BackupError `backup_missing` for another folder."""
        if not (self.folder / MARK).is_file():
            raise BackupError("backup_missing", f"{self.folder} holds no backups.")
        folders = sorted(f for f in self.backups.iterdir() if not f.name.startswith(PARTIAL))
        return [Backup(folder, _manifest_of(folder)) for folder in folders]

    def find(self, name: str = "") -> Backup:
        """The backup with this name, else the newest; raises BackupError `backup_missing`."""
        found = [backup for backup in self.complete() if name in ("", backup.name)]
        if not found:
            raise BackupError("backup_missing", f"{self.folder} has no backup {name}.".replace(" .", "."))
        return found[-1]

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """An unfinished backup's folder; it is removed, unless `publish` has renamed it."""
        for left in self.backups.glob(f"{PARTIAL}*"):
            shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(dir=self.backups, prefix=PARTIAL))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, folder: Path, manifest: Manifest) -> Backup:
        """Complete a backup: its manifest is written last, then the folder gets its name in one step."""
        now = datetime.now(UTC)
        name = now.strftime("%Y%m%dT%H%M%SZ")
        while (self.backups / name).exists():
            name += "a"
        manifest.name, manifest.created_at = name, now.isoformat(timespec="seconds")
        manifest.parts = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        for path in folder.iterdir():
            sync(path)
        (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1))
        sync(folder / MANIFEST)
        sync(folder)
        os.replace(folder, self.backups / name)
        sync(self.backups)
        return Backup(self.backups / name, manifest)

    def object_of(self, sha256: str) -> Path:
        return self.objects / sha256[:2] / sha256

    def add(self, source: BinaryIO, sha256: str) -> int:
        """Store bytes unless they are here already; returns how many were added.

        Raises Changed when they are not what the hash states.
        """
        target = self.object_of(sha256)
        if target.exists():
            return 0
        target.parent.mkdir(mode=0o700, exist_ok=True)
        return copy_checked(source, target, sha256)

    def prune(self, keep: int) -> int:
        """Remove all but the newest `keep` backups and the files that only they had; returns how many."""
        old = self.complete()[:-keep]
        for backup in old:
            # Renamed first: half a backup must not look complete.
            leaving = self.backups / f"{PARTIAL}{backup.name}"
            os.replace(backup.folder, leaving)
            shutil.rmtree(leaving)
        if old:
            needed = {entry.sha256 for backup in self.complete() for entry in backup.entries()}
            for path in self.objects.glob("*/*"):
                if path.name not in needed:
                    path.unlink()
        return len(old)


def copy_checked(source: BinaryIO, target: Path, sha256: str) -> int:
    """Write `target` whole or not at all; returns its size. Raises Changed when the hash differs."""
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=".draft-")
    digest, size = hashlib.sha256(), 0
    try:
        with open(handle, "wb") as out:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != sha256:
            raise Changed
        os.replace(draft, target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    sync(target.parent)
    return size


def write_entries(folder: Path, entries: Iterable[Entry]) -> None:
    with gzip.open(folder / FILES, "wt", compresslevel=3) as out:
        for entry in entries:
            out.write(json.dumps(entry) + "\n")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _manifest_of(folder: Path) -> Manifest:
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise BackupError("backup_damaged", f"The manifest of {folder.name} cannot be read.") from error
