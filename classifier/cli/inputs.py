"""From names on the command line to images, through the same parsing helper as the worker."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from classifier.contract import Slot
from classifier.data.manifest import Row, read_manifest, with_split
from classifier.errors import Refused
from classifier.images.archive.listing import Unpacked, head_of, is_archive, is_dicomdir
from classifier.images.decoded_image import ParseResult
from classifier.images.dicom.metadata import age_in_years
from classifier.images.raster.png import read_working
from classifier.images.sandbox.client import HelperFailed, ParsingHelper


@dataclass(frozen=True)
class Read:
    """One parsed file: facts, working image (H, W) uint16, preview (h, w) uint8, age in years or None."""

    facts: ParseResult
    working: np.ndarray
    preview: np.ndarray
    age: float | None


@dataclass(frozen=True)
class Source:
    """A file under the name that it is answered by, read or with what went wrong; and the seconds it took."""

    name: str
    found: Read | Refused | HelperFailed | OSError
    seconds: float


def files_under(
    names: Iterable[str], note: Callable[[str], None] = lambda said: None
) -> tuple[list[Path], list[str]]:
    """The files named and those below folders, hidden ones aside; and the names that cannot be opened.

    A DICOMDIR below a folder is left out with a note: it is a list of the images that lie beside it.
    """
    files, missing = [], []
    for name in names:
        path = Path(name)
        if path.is_dir():
            for found in walk(path):
                if _is_dicomdir(found):
                    note(f"{found}: skipped: a DICOMDIR lists images and is none")
                else:
                    files.append(found)
        elif path.is_file() and os.access(path, os.R_OK):
            files.append(path)
        else:
            missing.append(name)
    return files, missing


def walk(folder: Path) -> Iterator[Path]:
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(directory, name) for name in sorted(files) if not name.startswith("."))


def _is_dicomdir(path: Path) -> bool:
    return path.name.upper() == "DICOMDIR" or is_dicomdir(_head(path))


def _head(path: Path) -> bytes:
    try:
        return head_of(path) if path.is_file() else b""
    except OSError:
        return b""  # reading it says why


def read_all(
    helper: ParsingHelper,
    files: Iterable[Path],
    stated_slot: Slot | None,
    unpacked: Callable[[Path, Unpacked], None] = lambda path, found: None,
) -> Iterator[Source]:
    """Every file, in order; an archive is read as the images in it, under `archive.zip/name`.

    `unpacked` is told of each archive what was in it. One that is refused is answered as one file.
    """
    started = time.perf_counter()
    for name, found in opened(helper, files, unpacked):
        if isinstance(found, Path):
            yield _source(helper, found, name, stated_slot)
        else:
            yield Source(name, found, time.perf_counter() - started)
        started = time.perf_counter()


def opened(
    helper: ParsingHelper,
    files: Iterable[Path],
    unpacked: Callable[[Path, Unpacked], None] = lambda path, found: None,
) -> Iterator[tuple[str, Path | Refused | HelperFailed | OSError]]:
    """Every file with the name that it is answered by; what is in an archive lies there until the next."""
    for path in files:
        if not is_archive(_head(path)):
            yield str(path), path
            continue
        with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
            try:
                found = helper.unpack(path, folder)
            except (Refused, HelperFailed, OSError) as error:
                yield str(path), error
                continue
            unpacked(path, found)
            for member in found.members:
                yield f"{path}/{member.name}", Path(folder, member.file)


def _source(helper: ParsingHelper, path: Path, name: str, stated_slot: Slot | None) -> Source:
    started = time.perf_counter()
    return Source(name, read(helper, path, stated_slot), time.perf_counter() - started)


def read(
    helper: ParsingHelper, path: Path, stated_slot: Slot | None
) -> Read | Refused | HelperFailed | OSError:
    """One file through the helper; what went wrong comes back as a value, so that its neighbours go on."""
    with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
        try:
            facts = helper.parse(path, folder, stated_slot=stated_slot)
            working = read_working(Path(folder, facts.files["working"]))
            with Image.open(Path(folder, facts.files["preview"]), formats=["PNG"]) as image:
                preview = np.asarray(image.convert("L"))
        except (Refused, HelperFailed, OSError) as error:
            return error
    return Read(facts, working, preview, age_in_years(facts.metadata))


def manifest_rows(path: Path, part: str, *, seed: int, where: Sequence[str] = ()) -> list[Row]:
    """The rows of one part of a manifest ("all": every row). Raises OSError, ValueError."""
    rows = read_manifest(path, where=where)
    return rows if part == "all" else [row for row in with_split(rows, seed=seed) if row.split == part]


def read_alone(name: str, stated_slot: Slot | None) -> Read | Refused | HelperFailed:
    """One file through a helper of its own. Raises OSError where there is no such file."""
    with ParsingHelper() as helper:
        found = read(helper, Path(name), stated_slot)
    if isinstance(found, OSError):
        raise found
    return found
