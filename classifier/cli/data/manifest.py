"""Subfolders are findings: images in `FOLDER/pneumonia` show pneumonia; the finding of images in
`FOLDER/unlabelled`, or in no subfolder, is unknown. Patient, age, sex, view and modality come from DICOM
headers; for other images, `--patient` extracts the patient from the path. Files that cannot be read are left
out and listed on standard error. The exit status is 1 if nothing was written.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.reasons import ADVICE
from classifier.text_encoding import is_text, readable

if TYPE_CHECKING:
    from classifier.images.sandbox.client import ParsingHelper

COLUMNS = ("image", "finding", "patient", "source", "modality", "view", "sex", "age")
UNLABELLED = "unlabelled"
Line = dict[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="folder with a subfolder of images for each finding")
    add("--out", type=Path, metavar="CSV", help="file to write (default: FOLDER/manifest.csv)")
    add("--source", default="", help="hospital, scanner or collection of the images")
    add(
        "--patient", type=re.compile, metavar="PATTERN",
        help=r"regular expression whose first group is the patient in the path, for example '/(\d+)_[^/]*$'",
    )  # fmt: skip
    add(
        "--slot",
        choices=[slot.value for slot in Slot],
        default=Slot.CXR.value,
        help="modality of images without a DICOM header (default: cxr)",
    )


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from classifier.cli.inputs import walk
    from classifier.images.sandbox.client import ParsingHelper

    out = args.out or args.folder / "manifest.csv"
    if args.patient and args.patient.groups < 1:
        return _failed(f"--patient {args.patient.pattern!r} has no group: enclose the patient in parentheses")
    if not args.folder.is_dir():
        return _failed(f"{args.folder} is not a folder")
    if out.exists():
        return _failed(f"{out} already exists: choose another file with --out, or move it")
    files = [path for path in walk(args.folder) if path.suffix.lower() != ".csv"]
    with ParsingHelper() as helper, tqdm(files, unit="file", leave=False, disable=None) as bar:
        lines = list(lines_of(bar, args, helper, out.parent))
    if not lines:
        return _failed(f"{args.folder} contains no readable image")
    write(lines, out)
    print(summary(lines, out))
    return 0


def write(lines: list[Line], out: Path) -> None:
    """The manifest, complete or not at all."""
    draft = out.with_name(f".{out.name}.part")
    try:
        with draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


def lines_of(files, args: argparse.Namespace, helper: ParsingHelper, base: Path) -> Iterator[Line]:
    """A line for each readable image; other files are listed on standard error."""
    from classifier.images.sandbox.client import HelperFailed

    for path in files:
        if not is_text(os.path.relpath(path, base)):
            # A manifest is UTF-8 text and could not name the file.
            print(f"{readable(path)}: left out: the name is not UTF-8 text; rename it", file=sys.stderr)
            continue
        try:
            with tempfile.TemporaryDirectory(prefix="hilum-") as scratch:
                facts = helper.parse(path, scratch, stated_slot=args.slot)
        except (Refused, HelperFailed, OSError) as error:
            why = ADVICE[error.reason].problem if isinstance(error, Refused) else str(error)
            print(f"{path}: left out: {why}", file=sys.stderr)
            continue
        within = path.relative_to(args.folder).as_posix()
        image = Path(os.path.relpath(path, base)).as_posix()
        yield {
            "image": image,
            "finding": finding_of(within),
            "patient": patient_of(within, facts.metadata, args.patient) or image,
            "source": args.source,
            **_stated(facts.metadata),
        }


def finding_of(within: str) -> str:
    """The first folder of a relative path; empty (unknown) for `unlabelled` and without a folder."""
    folder, _, below = within.partition("/")
    return folder if below and folder != UNLABELLED else ""


def patient_of(within: str, metadata: dict, pattern: re.Pattern | None) -> str:
    """The patient ID of the header, else of the path by the pattern, else empty."""
    if stated := str(metadata.get("PatientID") or "").strip():
        return stated
    found = pattern.search(f"/{within}") if pattern else None
    return (found and found[1]) or ""


def _stated(metadata: dict) -> Line:
    from classifier.images.age import age_in_years

    age = age_in_years(metadata)
    columns = {"modality": "Modality", "view": "ViewPosition", "sex": "PatientSex"}
    stated = {name: str(metadata.get(keyword) or "") for name, keyword in columns.items()}
    return {**stated, "age": "" if age is None else f"{age:g}"}


def summary(lines: list[Line], out: Path) -> str:
    """The counts, and a warning about images without a patient."""
    findings = Counter(line["finding"] or "unknown" for line in lines)
    patients = {line["patient"] for line in lines}
    counts = ", ".join(f"{name} {number:,}" for name, number in sorted(findings.items()))
    text = [f"{out}: {len(lines):,} images of {len(patients):,} patients; {counts}"]
    if alone := sum(line["patient"] == line["image"] for line in lines):
        text.append(
            f"{alone:,} images have no patient ID; each is treated as a separate patient. If patients have"
            " several images, set the patient (--patient, or the column): otherwise training and test may"
            " share patients."
        )
    return "\n".join(text)


def _failed(why: str) -> int:
    print(why, file=sys.stderr)
    return 1
