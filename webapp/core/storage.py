"""Stored files: whole or absent, named by our UUIDs, in a folder that is not served as it is."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from django.conf import settings

from webapp.core.errors import CodedError

DRAFT = ".draft-"
# Who names stored files: each gives names and their sha256. Apps above `core` add themselves when ready.
Named = Callable[[], Iterable[tuple[str, str]]]
naming: list[Named] = []
PROBE_BYTES = 1 << 20
# Deleted files are kept here, under their names, while a backup runs.
HELD = ".held"
HOLD_WAIT_SECONDS = 5.0
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")


def root() -> Path:
    return settings.HILUM_DATA / "media"


def phantom_collection() -> Path:
    """The simulated patients that the worker renders and the pages offer; absent until they are rendered."""
    return settings.HILUM_DATA / "phantoms" / "collection.zip"


def path_of(name: str) -> Path:
    """The absolute path of a stored name; raises ValueError for a name that is not one of ours."""
    if not (_NAME.fullmatch(name) and _UUID.search(name)):
        raise ValueError("a storage name is made from a UUID of ours")
    return root() / name


def put_file(source: Path, name: str) -> Path:
    """Move a finished file into the store: whole or not at all, even when the power fails.

    Not for use inside a transaction. Raises ValueError for a foreign name, OSError when the disk refuses.
    """
    target = path_of(name)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if source.stat().st_dev != target.parent.stat().st_dev:
        source = _copy_near(source, target)
    _sync(source)
    source.chmod(0o600)
    os.replace(source, target)
    _sync(target.parent)
    return target


def open_file(name: str) -> BinaryIO:
    """Open a stored file for reading; raises FileNotFoundError when it is missing."""
    return path_of(name).open("rb")


def opened(name: str, what: str) -> BinaryIO:
    """A stored file; raises CodedError `unavailable`, saying `what`, where the store has it no more."""
    try:
        return open_file(name)
    except FileNotFoundError as error:
        raise CodedError("unavailable", f"{what} is missing from the store.") from error


def is_working() -> bool:
    """Whether the store is there and takes a file: trouble with one file is then that file's own."""
    try:
        with tempfile.TemporaryFile(dir=root()) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError:
        return False
    return True


def delete_file(name: str) -> None:
    """Remove a stored file; one that is already gone is fine. Not for use before the commit.

    While `deletions_held`, it is only set aside.
    """
    path = path_of(name)
    if not _is_held():
        path.unlink(missing_ok=True)
        return
    aside = root() / HELD / name
    aside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        os.replace(path, aside)


@contextmanager
def deletions_held() -> Iterator[None]:
    """Keep every file that is deleted meanwhile, for `open_held`; the hold ends with the process, too.

    Raises CodedError `backup_running` when another process holds them.
    """
    folder = root() / HELD
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        _lock(lock)
        try:
            yield
        finally:
            for path in folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)


def open_held(name: str) -> BinaryIO:
    """Open a stored file, or one that was deleted during the hold; raises FileNotFoundError."""
    try:
        return open_file(name)
    except FileNotFoundError:
        return (root() / HELD / name).open("rb")


def _lock(file: TextIO) -> None:
    # A process that deletes a file looks at the lock for an instant.
    end = time.monotonic() + HOLD_WAIT_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise CodedError("backup_running") from error
            time.sleep(0.05)


def _is_held() -> bool:
    try:
        with (root() / HELD / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _copy_near(source: Path, target: Path) -> Path:
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=DRAFT)
    try:
        with open(handle, "wb") as out, source.open("rb") as file:
            shutil.copyfileobj(file, out, 1 << 20)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    source.unlink()
    return Path(draft)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
