"""Rows against files: what a row names and the store lacks, what lies there unnamed, what has changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from webapp.core import storage
from webapp.registry.models import ModelVersion
from webapp.scans.models import Scan, Upload
from webapp.scans.uploads.files import KINDS, ORIGINAL, file_sha256

# A file is stored before its row is committed: what is younger than this may still get one.
GRACE_SECONDS = 60 * 60


@dataclass
class Findings:
    """Storage names, made of UUIDs only. `checked` counts the files that rows name."""

    checked: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.missing or self.damaged or self.orphaned)


def check(*, deep: bool = False, grace_seconds: float = GRACE_SECONDS) -> Findings:
    """Compare the rows with the store; `deep` reads every file and compares its sha256."""
    # The store is listed before the rows are read: a file that comes meanwhile is no orphan.
    unnamed, found = dict(_stored(grace_seconds)), Findings()
    for name, sha256 in named_files():
        found.checked += 1
        unnamed.pop(name, None)
        path = storage.path_of(name)
        if not path.is_file():
            found.missing.append(name)
        elif deep and file_sha256(path) != sha256:
            found.damaged.append(name)
    found.orphaned = sorted(unnamed)
    return found


def remove_orphans(found: Findings) -> int:
    """Delete what no row names; returns how many files."""
    for name in found.orphaned:
        (storage.root() / name).unlink(missing_ok=True)
    return len(found.orphaned)


def remove_leftovers(grace_seconds: float) -> int:
    """Delete drafts, and images of attempts that came to nothing; returns how many files.

    Files of an upload that no row knows are left to a person: the database may be an older one.
    """
    leftovers = Findings(orphaned=[n for n in check(grace_seconds=grace_seconds).orphaned if _is_leftover(n)])
    return remove_orphans(leftovers)


def _is_leftover(name: str) -> bool:
    *_, folder, file = ("", *name.split("/"))
    if file.startswith(storage.DRAFT):
        return True
    image = file.endswith((*(f"-{kind}.png" for kind in KINDS), f"-{ORIGINAL}"))
    return image and Upload.objects.filter(stored_name__contains=f"/{folder}/").exists()


def named_files() -> Iterator[tuple[str, str]]:
    """Name and sha256 of every file that a row names."""
    unpacked = {"status": Upload.Status.DONE, "skipped__isnull": False}
    uploads = Upload.objects.exclude(status=Upload.Status.REFUSED).exclude(**unpacked)
    for name, received, replaced in uploads.values_list("stored_name", "sha256", "stored_sha256").iterator():
        yield name, replaced or received
    for kind in KINDS:
        yield from Scan.objects.values_list(f"{kind}_name", f"{kind}_sha256").iterator()
    yield from ModelVersion.objects.values_list("stored_name", "sha256").iterator()
    for named in storage.naming:
        yield from named()


def _stored(grace_seconds: float) -> Iterator[tuple[str, Path]]:
    newest, held = time.time() - grace_seconds, storage.root() / storage.HELD
    for path in storage.root().rglob("*"):
        if held not in path.parents and path.is_file() and path.stat().st_mtime <= newest:
            yield path.relative_to(storage.root()).as_posix(), path
