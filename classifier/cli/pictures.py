"""From names on the command line to pictures, through the same parsing helper as the worker."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.metadata import age_in_years
from classifier.images.picture import ParseResult
from classifier.images.png import read_working
from classifier.images.sandbox import HelperFailed, ParsingHelper


@dataclass(frozen=True)
class Read:
    """One parsed file: facts, working image (H, W) uint16, preview (h, w) uint8, age in years or None."""

    facts: ParseResult
    working: np.ndarray
    preview: np.ndarray
    age: float | None


def files_under(names: Iterable[str]) -> tuple[list[Path], list[str]]:
    """The files named and those below folders, hidden ones aside; and the names that cannot be opened."""
    files, missing = [], []
    for name in names:
        path = Path(name)
        if path.is_dir():
            files += walk(path)
        elif path.is_file() and os.access(path, os.R_OK):
            files.append(path)
        else:
            missing.append(name)
    return files, missing


def walk(folder: Path) -> Iterator[Path]:
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(directory, name) for name in sorted(files) if not name.startswith("."))


def read(helper: ParsingHelper, path: Path, claimed: Slot | None) -> Read | Refused | HelperFailed | OSError:
    """One file through the helper; what went wrong comes back as a value, so that its neighbours go on."""
    with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
        try:
            facts = helper.parse(path, folder, claimed=claimed)
            working = read_working(Path(folder, facts.files["working"]))
            with Image.open(Path(folder, facts.files["preview"]), formats=["PNG"]) as image:
                preview = np.asarray(image.convert("L"))
        except (Refused, HelperFailed, OSError) as error:
            return error
    return Read(facts, working, preview, age_in_years(facts.metadata))


def read_alone(name: str, claimed: Slot | None) -> Read | Refused | HelperFailed:
    """One file through a helper of its own. Raises OSError where there is no such file."""
    with ParsingHelper() as helper:
        found = read(helper, Path(name), claimed)
    if isinstance(found, OSError):
        raise found
    return found
