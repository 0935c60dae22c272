"""Manifests: rows of images with their findings, patients and parts."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from classifier.contract import Slot
from classifier.data.split import FRACTIONS, assign, fold_parts
from classifier.data.tables.manifest import existing_file, naming_files, read_manifest_table
from classifier.data.tables.table import Problem, Record
from classifier.errors import Refused
from classifier.images.decoded_image import DecodedImage
from classifier.images.read import read_image
from classifier.reasons import RefusalReason

REQUIRED = ("image", "finding", "patient")
AGE = re.compile(r"(\d+(?:\.\d+)?)(?:\s*-\s*(\d+(?:\.\d+)?))?\s*([DWMY]?)", re.IGNORECASE)
CONDITION = re.compile(r"(?P<column>[^!=]+)(?P<unlike>!)?=(?P<value>.*)")
PER_YEAR = {"": 1.0, "Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}


@dataclass(frozen=True)
class Row:
    """One line of a manifest. `findings` is None when unknown; `split` is None until it is assigned."""

    image: str
    path: Path
    findings: tuple[str, ...] | None
    patient: str
    source: str = ""
    split: str | None = None
    age: float | None = None
    modality: str = ""
    view: str = ""
    sex: str = ""
    sha256: str = ""  # of the file, where the manifest states it
    soft: Mapping[str, float] | None = None  # share of each finding, for training where `findings` is None

    @property
    def stratum(self) -> str:
        return "|".join((self.source, *(self.findings or ("unknown",))))


def read_manifest(path: str | Path, *, where: Sequence[str] = ()) -> list[Row]:
    """Rows of a CSV with `image,finding,patient`, and optional `source,split,age,modality,view,sex,soft`.

    Image paths are relative to the CSV; several findings are separated by `|`; an empty finding is unknown.
    `soft` is a training target for images with an unknown finding: `covid19=0.5|pneumonia=0.3|normal=0.2`.
    `where` keeps the rows for which all of its conditions hold: `source=nih`, `finding!=normal`.
    Raises ValueError naming file, line, column and value of everything that is wrong or missing.
    """
    path = Path(path)
    data = path.read_bytes()
    manifest = read_manifest_table(data, path.name, required=REQUIRED, fits=naming_files(path.parent))
    conditions = [_condition(text, manifest.table.columns) for text in where]
    chosen = [line.record for line in manifest.lines if all(holds(line.record) for holds in conditions)]
    problems, rows, spellings, images = list(manifest.problems), [], _Spellings(), set()
    for record in chosen:
        row, wrong = _row(record, path)
        wrong += spellings.problems(record)
        if record["image"] in images:
            wrong.append(Problem(record.line, "an earlier line has the same image", "image", record["image"]))
        images.add(record["image"])
        problems += wrong
        if row:
            rows.append(row)
    replace(manifest, problems=tuple(sorted(problems, key=lambda one: one.line))).raise_problems()
    if not rows:
        raise ValueError(f"{path.name}: no rows" + (f" where {', '.join(where)}" if where else ""))
    return rows


class _Spellings:
    """The findings so far by their letters and digits: two spellings of one would be two classes."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, int]] = {}

    def problems(self, record: Record) -> Iterator[Problem]:
        for finding in _findings(record):
            key = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", finding).casefold())
            first, line = self._first.setdefault(key, (finding, record.line))
            if first != finding:
                text = f"line {line} has “{first}”; write a finding in one way"
                yield Problem(record.line, text, "finding", finding)


def _condition(text: str, columns: Sequence[str]) -> Callable[[Mapping[str, str]], bool]:
    """What `column=value` or `column!=value` asks of a record; raises ValueError for another text."""
    match = CONDITION.fullmatch(text)
    column = match["column"].lower() if match else ""
    if not match or column not in columns:
        raise ValueError(f"{text!r} is not COLUMN=VALUE or COLUMN!=VALUE of {', '.join(columns)}")
    unlike, value = match["unlike"] is not None, match["value"]
    return lambda record: (record[column] == value) is not unlike


def _findings(record: Record) -> tuple[str, ...]:
    return tuple(name.strip() for name in record["finding"].split("|") if name.strip())


def _row(record: Record, manifest: Path) -> tuple[Row | None, list[Problem]]:
    """The row of a record, or None and what is wrong with it."""
    problems = [
        Problem(record.line, f"{column} must not be empty", column, "")
        for column in ("image", "patient")
        if not record[column]
    ]
    path = existing_file(manifest.parent, record["image"]) if record["image"] else None
    if record["image"] and path is None:
        problems.append(Problem(record.line, "the file does not exist", "image", record["image"]))
    try:
        soft = soft_target(record.get("soft", ""))
    except ValueError as error:
        problems.append(Problem(record.line, str(error), "soft", record["soft"]))
    if problems or path is None:
        return None, problems
    row = Row(
        image=record["image"],
        path=path,
        findings=_findings(record) or None,
        patient=record["patient"],
        source=record.get("source", ""),
        split=record.get("split") or None,
        age=age_of(record.get("age", "")),
        modality=record.get("modality", ""),
        view=record.get("view", "").upper(),
        sex=record.get("sex", "").upper(),
        sha256=record.get("sha256", "").lower(),
        soft=soft,
    )
    return row, []


def soft_target(text: str) -> dict[str, float] | None:
    """`covid19=0.5|normal=0.5` as a mapping, None for an empty text; raises ValueError for another text."""
    if not text:
        return None
    parts = [part.partition("=") for part in text.split("|")]
    try:
        shares = {name.strip(): float(share) for name, _, share in parts}
    except ValueError:
        shares = {}
    named = len(shares) == len(parts) and all(shares)
    if not named or not all(0 <= share <= 1 for share in shares.values()) or not any(shares.values()):
        raise ValueError("a soft target is FINDING=SHARE|... with shares from 0 to 1")
    return shares


def image_of(row: Row, slot: Slot) -> DecodedImage:
    """The row's image, as a model of `slot` reads it; raises Refused, a CT for an X-ray model included."""
    decoded = read_image(row.path, slot)
    if (decoded.slot is Slot.CT) is not (slot is Slot.CT):
        raise Refused(RefusalReason.UNSUPPORTED_MODALITY, f"a {decoded.slot} image for a {slot} model")
    return decoded


Reader = Callable[[Row], tuple[np.ndarray, tuple[int, int]]]  # working image; rows, columns of the original


def reader_for(slot: Slot) -> Reader:
    """Reads rows' images from their files; raises Refused as `image_of`."""

    def read(row: Row) -> tuple[np.ndarray, tuple[int, int]]:
        decoded = image_of(row, slot)
        return decoded.working, (decoded.rows, decoded.columns)

    return read


def age_of(text: str) -> float | None:
    """Years of `63`, of a range such as `1-5` (its middle), of DICOM's `063Y` and `006M` (PS3.5); or None."""
    match = AGE.fullmatch(text.strip())
    if not match:
        return None
    low, high, unit = float(match[1]), float(match[2] or match[1]), match[3].upper()
    return (low + high) / 2 / PER_YEAR[unit]


def with_split(rows: Sequence[Row], *, seed: int, fractions: Mapping[str, float] = FRACTIONS) -> list[Row]:
    """Rows with a part each: the manifest's own where it gives one, else `split.assign`'s."""
    parts = assign(
        [row.patient for row in rows],
        [row.stratum for row in rows],
        seed=seed,
        fractions=fractions,
        given=[row.split for row in rows],
    )
    return [replace(row, split=part) for row, part in zip(rows, parts, strict=True)]


def with_folds(rows: Sequence[Row], *, count: int, fold: int, by: str, seed: int) -> list[Row]:
    """Rows with the parts that one of `count` folds gives, grouped by `patient`, or by `image` (not at all).

    The manifest's own split is not looked at. Image folds are how many published protocols did it: images
    of one patient stand in training and test alike.
    """
    groups = [row.patient if by == "patient" else row.image for row in rows]
    parts = fold_parts(groups, [row.stratum for row in rows], count=count, fold=fold, seed=seed)
    return [replace(row, split=part) for row, part in zip(rows, parts, strict=True)]


def targets_of(rows: Sequence[Row], findings: Sequence[str], *, soft: bool = False) -> np.ndarray:
    """Float32 (N, findings) of 1 present, 0 absent; a row of NaN where the finding is unknown.

    With `soft` the soft target of a row takes the place of NaN. Raises ValueError for a finding that the
    model does not have.
    """
    targets = np.full((len(rows), len(findings)), np.nan, dtype=np.float32)
    for target, row in zip(targets, rows, strict=True):
        shares = dict.fromkeys(row.findings, 1.0) if row.findings else (row.soft if soft else None)
        for name in shares or ():
            if name not in findings:
                known = ", ".join(findings)
                raise ValueError(f"{row.image}: unknown finding {name!r}: the model has {known}")
        if shares:
            target[:] = [shares.get(name, 0.0) for name in findings]
    return targets


def draw_weights(
    rows: Sequence[Row],
    *,
    source_balance: float,
    even: bool = True,
    source_weight: Mapping[str, float] | None = None,
) -> np.ndarray:
    """Probability of drawing each row: every finding equally often and, within it, sources evened out.

    A source with n of a finding's images is drawn in proportion to n ** (1 - source_balance), times its
    `source_weight` (default 1): 0 as they come, 1 all sources alike. Not `even`: a finding is drawn as often
    as it comes. A row with a soft target counts for each finding by its share; other rows with an unknown
    finding are never drawn. Raises ValueError if a finding, or every row, is never drawn.
    """
    members = [_membership(row) for row in rows]
    by_source: Counter[tuple] = Counter()
    for row, member in zip(rows, members, strict=True):
        for findings, part in member.items():
            by_source[findings, row.source] += part
    weight = {source: (source_weight or {}).get(source, 1.0) for _, source in by_source}
    share = {key: count ** (1 - source_balance) * weight[key[1]] for key, count in by_source.items()}
    of_finding, present = Counter(), Counter()
    for (findings, source), value in share.items():
        of_finding[findings] += value
        present[findings] = 1 if even else present[findings] + weight[source] * by_source[findings, source]
    if never := [findings for findings, value in of_finding.items() if not value]:
        raise ValueError(f"the weights of the sources leave no image with {'|'.join(never[0])!r} to draw")
    weights = np.zeros(len(rows))
    for index, (row, member) in enumerate(zip(rows, members, strict=True)):
        for findings, part in member.items():
            key = (findings, row.source)
            weights[index] += part * present[findings] * share[key] / of_finding[findings] / by_source[key]
    if not weights.any():
        raise ValueError("no row has a known finding")
    return weights / weights.sum()


def _membership(row: Row) -> dict[tuple[str, ...], float]:
    """How much of the row counts for which finding, or findings together; sums to 1, or is empty."""
    if row.findings:
        return {row.findings: 1.0}
    soft = row.soft or {}
    return {(name,): share / sum(soft.values()) for name, share in soft.items() if share}
