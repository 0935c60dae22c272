"""Files through the parsing helper as ingest sends them, and what is wrong with an result."""

from __future__ import annotations

import math
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from classifier.errors import Refused
from classifier.images.archive.listing import HEAD_BYTES, Unpacked, is_archive
from classifier.images.decoded_image import ParseResult
from classifier.images.deidentify.pseudonyms import DeidentifyOptions
from classifier.images.limits import MIB, UNPACK_LIMITS, Limits
from classifier.images.sandbox.client import ResourcesExhausted
from tests.classifier.images.fuzz.metered import Cost, MeteredHelper
from tests.classifier.images.fuzz.mutants import Mutant

MAX_SECONDS = 20.0
CRASHED = "the decoder crashed"
_MEMBERS = 5  # of an archive that are read as well
_NUMBER = re.compile(r"\d+")
_WAYS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"stated_slot": "ct"},
    {"stated_slot": "cxr", "deidentify": DeidentifyOptions(b"a key of thirty-two random bytes")},
)


@dataclass(frozen=True)
class Result:
    """What was stated of one file; `surprise` is what may not be, empty where all is well."""

    code: str
    detail: str
    seconds: float
    cost: Cost
    surprise: str = ""


@dataclass
class Figures:
    """What came of all files: the table of returns, the worst cases, the surprises."""

    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    largest: tuple[int, str] = (0, "")
    surprises: list[str] = field(default_factory=list)
    files: int = 0

    def count(self, name: str, result: Result) -> None:
        self.results[result.code, _NUMBER.sub("#", result.detail)] += 1
        self.slowest = max(self.slowest, (result.seconds, name))
        self.largest = max(self.largest, (result.cost.memory, name))
        if result.surprise:
            self.surprises.append(f"{name}: {result.surprise}")

    @property
    def crashes(self) -> int:
        return sum(count for (_, detail), count in self.results.items() if detail == CRASHED)

    def table(self) -> str:
        rows = [
            f"{code:<22}{detail:<62.60}{count:>8,}"
            for (code, detail), count in sorted(self.results.items(), key=lambda item: (item[0][0], -item[1]))
        ]
        (seconds, slowest), (memory, largest) = self.slowest, self.largest
        return "\n".join(
            (
                f"{'code':<22}{'detail':<62}{'results':>8}",
                *rows,
                f"{self.files:,} files, {sum(self.results.values()):,} results",
                f"slowest {seconds:.2f} s ({slowest})",
                f"most memory {memory / MIB:.0f} MiB ({largest})",
                f"contained crashes {self.crashes}",
                f"surprises {len(self.surprises)}",
                *self.surprises,
            )
        )


class Trial:
    """Sends mutants through one helper; files that surprise are kept in `keep`."""

    def __init__(self, helper: MeteredHelper, keep: Path | None = None) -> None:
        self.helper, self.keep, self.figures = helper, keep, Figures()

    def send(self, mutant: Mutant) -> None:
        name = mutant.name
        self.figures.files += 1
        for result in self._results(mutant):
            self.figures.count(name, result)
            if result.surprise and self.keep:
                self.keep.mkdir(parents=True, exist_ok=True)
                (self.keep / name).write_bytes(mutant.data)

    def _results(self, mutant: Mutant) -> Iterator[Result]:
        way = _WAYS[mutant.number % len(_WAYS)]
        with tempfile.TemporaryDirectory(prefix="hilum-fuzz-") as scratch:
            file, out, members = (Path(scratch, name) for name in ("file", "out", "members"))
            file.write_bytes(mutant.data)
            out.mkdir()
            members.mkdir()
            files = [file]
            if is_archive(mutant.data[:HEAD_BYTES]):
                yield self._result(lambda: self.helper.unpack(file, members), members, UNPACK_LIMITS)
                files = sorted(members.iterdir())[:_MEMBERS]
            for path in files:
                yield self._result(lambda path=path: self.helper.parse(path, out, **way), out, Limits())

    def _result(self, ask: Callable[[], ParseResult | Unpacked], folder: Path, limits: Limits) -> Result:
        started, surprise = time.monotonic(), ""
        try:
            found = ask()
        except Refused as refused:
            code, detail = refused.reason.value, refused.detail
            if isinstance(refused, ResourcesExhausted) or detail.startswith("unexpected"):
                surprise = detail
        except Exception as error:
            code, detail, surprise = "", type(error).__name__, repr(error)
        else:
            code, detail, surprise = "read", *_judged(found, folder)
        seconds, cost = time.monotonic() - started, self.helper.cost
        if self.helper.died:
            surprise = "the helper died"
        if seconds > MAX_SECONDS:
            surprise = f"{seconds:.0f} s"
        if cost.memory > limits.memory_bytes:
            surprise = f"{cost.memory / MIB:.0f} MiB"
        return Result(code, detail, seconds, cost, surprise)


def _judged(found: ParseResult | Unpacked, folder: Path) -> tuple[str, str]:
    """(what it was taken for, what is wrong with that) of a file that was read."""
    if isinstance(found, Unpacked):
        return "zip", "" if {path.name for path in folder.iterdir()} == {
            m.file for m in found.members
        } else "files"
    numbers = (found.slope, found.intercept, found.window_center, found.window_width)
    if not all(map(math.isfinite, numbers)) or found.slope == 0 or found.window_width <= 0:
        return found.slot.value, f"a window or slope that is none: {numbers}"
    for name, file in found.files.items():
        if name == "original":
            continue
        with Image.open(folder / file, formats=["PNG"]) as image:
            if name == "display" and image.size != (found.columns, found.rows):
                return found.slot.value, f"a display of {image.size}"
    return found.slot.value, ""
