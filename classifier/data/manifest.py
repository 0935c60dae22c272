"""Manifests: rows of images with their findings, patients and parts."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from classifier.contract import RefusalReason, Slot
from classifier.data.split import FRACTIONS, assign, fold_parts
from classifier.errors import Refused
from classifier.images.decoded_image import DecodedImage
from classifier.images.read import read_image

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

    @property
    def stratum(self) -> str:
        return "|".join((self.source, *(self.findings or ("unknown",))))


def read_manifest(path: str | Path, *, where: Sequence[str] = ()) -> list[Row]:
    """Rows of a CSV with `image,finding,patient`, optional `source,split,age,modality,view,sex` and others.

    Image paths are relative to the CSV; several findings are separated by `|`; an empty finding is unknown.
    `where` keeps the rows for which all of its conditions hold: `source=nih`, `finding!=normal`.
    Raises ValueError naming the line when a column, a value or an image's file is missing.
    """
    path = Path(path)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path.name}: missing column {', '.join(missing)}")
        conditions = [_condition(text, reader.fieldnames or ()) for text in where]
        rows = [
            _row(record, path, line)
            for line, record in enumerate(reader, start=2)
            if all(holds(record) for holds in conditions)
        ]
    if not rows:
        raise ValueError(f"{path.name}: no rows" + (f" where {', '.join(where)}" if where else ""))
    twice = [name for name, count in Counter(row.image for row in rows).items() if count > 1]
    if twice:
        raise ValueError(f"{path.name}: {len(twice)} images are listed twice, first {twice[0]}")
    return rows


def _condition(text: str, columns: Sequence[str]) -> Callable[[Mapping[str, str | None]], bool]:
    """What `column=value` or `column!=value` asks of a record; raises ValueError for another text."""
    match = CONDITION.fullmatch(text)
    if not match or match["column"] not in columns:
        raise ValueError(f"{text!r} is not COLUMN=VALUE or COLUMN!=VALUE of {', '.join(columns)}")
    column, unlike, value = match["column"], match["unlike"] is not None, match["value"]
    return lambda record: ((record[column] or "").strip() == value) is not unlike


def _row(record: Mapping[str, str | None], manifest: Path, line: int) -> Row:
    value = {key: (text or "").strip() for key, text in record.items() if key}
    if not value["image"] or not value["patient"]:
        raise ValueError(f"{manifest.name}, line {line}: image and patient must not be empty")
    path = manifest.parent / value["image"]
    if not path.is_file():
        raise ValueError(f"{manifest.name}, line {line}: file {value['image']!r} does not exist")
    findings = tuple(name.strip() for name in value["finding"].split("|") if name.strip())
    return Row(
        image=value["image"],
        path=path,
        findings=findings or None,
        patient=value["patient"],
        source=value.get("source", ""),
        split=value.get("split") or None,
        age=age_of(value.get("age", "")),
        modality=value.get("modality", ""),
        view=value.get("view", "").upper(),
        sex=value.get("sex", "").upper(),
        sha256=value.get("sha256", "").lower(),
    )


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


def targets_of(rows: Sequence[Row], findings: Sequence[str]) -> np.ndarray:
    """Float32 (N, findings) of 1 present, 0 absent; a row of NaN where the finding is unknown.

    Raises ValueError for a finding that the model does not have.
    """
    targets = np.full((len(rows), len(findings)), np.nan, dtype=np.float32)
    for target, row in zip(targets, rows, strict=True):
        for name in row.findings or ():
            if name not in findings:
                known = ", ".join(findings)
                raise ValueError(f"{row.image}: unknown finding {name!r}: the model has {known}")
        if row.findings is not None:
            target[:] = [name in row.findings for name in findings]
    return targets


def draw_weights(rows: Sequence[Row], *, source_balance: float, even: bool = True) -> np.ndarray:
    """Probability of drawing each row: every finding equally often and, within it, sources evened out.

    A source with n of a finding's images is drawn in proportion to n ** (1 - source_balance): 0 as they
    come, 1 all sources alike. Not `even`: a finding is drawn as often as it comes. Rows with an unknown
    finding are never drawn.
    """
    by_source = Counter((row.findings, row.source) for row in rows if row.findings)
    share = {key: count ** (1 - source_balance) for key, count in by_source.items()}
    of_finding, present = Counter(), Counter()
    for (findings, source), value in share.items():
        of_finding[findings] += value
        present[findings] = 1 if even else present[findings] + by_source[findings, source]
    weights = np.zeros(len(rows))
    for index, row in enumerate(rows):
        key = (row.findings, row.source)
        if row.findings:
            weights[index] = present[row.findings] * share[key] / of_finding[row.findings] / by_source[key]
    if not weights.any():
        raise ValueError("no row has a known finding")
    return weights / weights.sum()
