"""Finds and reads the image files named on the command line, through the parsing helper."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from classifier.contract import Slot
from classifier.data.manifest import Row, read_manifest, with_split
from classifier.errors import Refused
from classifier.images.age import age_in_years, day_of_study
from classifier.images.archive.listing import Unpacked, head_of, is_archive, is_dicomdir
from classifier.images.decoded_image import ParseResult
from classifier.images.raster.png import read_working
from classifier.images.sandbox.client import HelperFailed, ParsingHelper

if TYPE_CHECKING:
    from classifier.inference.predictor import Input


@dataclass(frozen=True)
class LoadedImage:
    """A parsed file: facts, working image (H, W) uint16, preview (h, w) uint8, age in years or None."""

    facts: ParseResult
    working: np.ndarray
    preview: np.ndarray
    age: float | None

    def as_input(self) -> Input:
        from classifier.inference.predictor import Input

        day = day_of_study(self.facts.metadata)
        return Input(
            self.working,
            (self.facts.rows, self.facts.columns),
            age=self.age,
            dated=day.isoformat() if day else None,
            burned_in=bool(self.facts.burned_in),
        )


@dataclass(frozen=True)
class InputFile:
    """A file or archive member by its display name, with its image or the error, and the time to read it."""

    name: str
    image: LoadedImage | Refused | HelperFailed | OSError
    seconds: float


def find_files(names: Iterable[str]) -> tuple[list[Path], list[str]]:
    """The named files and those in named folders, without hidden ones; and the names that cannot be opened.

    Names that cannot be opened, and DICOMDIR files in folders, are reported on standard error.
    """
    files, missing = [], []
    for name in names:
        path = Path(name)
        if path.is_dir():
            for found in walk(path):
                if _is_dicomdir(found):
                    print(f"{found}: skipped (DICOMDIR)", file=sys.stderr)
                else:
                    files.append(found)
        elif path.is_file() and os.access(path, os.R_OK):
            files.append(path)
        else:
            missing.append(name)
            print(f"{name}: file not found or not readable", file=sys.stderr)
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
        return b""  # reported when it is read


def print_records(
    records: Iterable[dict[str, Any]], bar: tqdm, as_json: bool, line_of: Callable[[dict[str, Any]], str]
) -> bool:
    """Print each record as soon as it is there, as JSON or as a line; returns whether one is of a failure."""
    failed = False
    for record in records:
        failed |= record["status"] == "failed"
        bar.write(json.dumps(record) if as_json else line_of(record), file=sys.stdout)
        sys.stdout.flush()
        bar.update()
    return failed


def load_all(
    helper: ParsingHelper,
    files: Iterable[Path],
    stated_slot: Slot | None,
    unpacked: Callable[[Path, Unpacked], None] = lambda path, found: None,
) -> Iterator[InputFile]:
    """Every file, in order; the images of an archive are returned as `archive.zip/name`.

    `unpacked` is called for each archive. A refused archive is returned as one file.
    """
    started = time.perf_counter()
    for name, found in expand(helper, files, unpacked):
        if isinstance(found, Path):
            started = time.perf_counter()
            found = load_image(helper, found, stated_slot)
        yield InputFile(name, found, time.perf_counter() - started)
        started = time.perf_counter()


def expand(
    helper: ParsingHelper,
    files: Iterable[Path],
    unpacked: Callable[[Path, Unpacked], None] = lambda path, found: None,
) -> Iterator[tuple[str, Path | Refused | HelperFailed | OSError]]:
    """Every file with its display name; unpacked archive members exist until the next iteration."""
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


def load_image(
    helper: ParsingHelper, path: Path, stated_slot: Slot | None
) -> LoadedImage | Refused | HelperFailed | OSError:
    """Parse one file; errors are returned, so that processing can continue with the next file."""
    with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
        try:
            facts = helper.parse(path, folder, stated_slot=stated_slot)
            working = read_working(Path(folder, facts.files["working"]))
            with Image.open(Path(folder, facts.files["preview"]), formats=["PNG"]) as image:
                preview = np.asarray(image.convert("L"))
        except (Refused, HelperFailed, OSError) as error:
            return error
    return LoadedImage(facts, working, preview, age_in_years(facts.metadata))


def manifest_rows(path: Path, part: str, *, seed: int, where: Sequence[str] = ()) -> list[Row]:
    """The rows of one part of a manifest ("all": every row). Raises OSError, ValueError."""
    rows = read_manifest(path, where=where)
    return rows if part == "all" else [row for row in with_split(rows, seed=seed) if row.split == part]


def load_single(name: str, stated_slot: Slot | None) -> LoadedImage | Refused | HelperFailed:
    """Parse one file with a new helper. Raises OSError if the file does not exist."""
    with ParsingHelper() as helper:
        found = load_image(helper, Path(name), stated_slot)
    if isinstance(found, OSError):
        raise found
    return found
