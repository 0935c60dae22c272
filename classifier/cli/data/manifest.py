"""The folders are the findings: what lies below `FOLDER/pneumonia` shows pneumonia; what lies below
`FOLDER/unlabelled`, or in no folder, shows nobody knows what. Patient, age, sex, view and modality come from
DICOM headers; an image without a header belongs to the patient whom `--patient` finds in its name. What the
reader refuses is left out and named on standard error. The exit status is 1 where nothing was written.
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

from classifier.contract import ADVICE, Slot
from classifier.errors import Refused

if TYPE_CHECKING:
    from classifier.images.sandbox.client import ParsingHelper

COLUMNS = ("image", "finding", "patient", "source", "modality", "view", "sex", "age")
UNLABELLED = "unlabelled"
Line = dict[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="holds a folder of images for each finding"
    )
    parser.add_argument("--out", type=Path, metavar="CSV", help="the manifest (default: FOLDER/manifest.csv)")
    parser.add_argument(
        "--source", default="", help="the hospital, scanner or collection that all of it is from"
    )
    parser.add_argument(
        "--patient", type=re.compile, metavar="PATTERN",
        help=r"regular expression whose first group is the patient, in an image's path: '/(\d+)_[^/]*$'",
    )  # fmt: skip
    parser.add_argument(
        "--slot",
        choices=[slot.value for slot in Slot],
        default=Slot.CXR.value,
        help="what PNG and JPEG files are",
    )


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from classifier.cli.inputs import walk
    from classifier.images.sandbox.client import ParsingHelper

    out = args.out or args.folder / "manifest.csv"
    if args.patient and args.patient.groups < 1:
        return _failed(f"--patient {args.patient.pattern!r} has no group: put the patient's part in brackets")
    if not args.folder.is_dir():
        return _failed(f"{args.folder} is no folder")
    if out.exists():
        return _failed(f"{out} is there already: name another one by --out, or move it away")
    files = [path for path in walk(args.folder) if path.suffix.lower() != ".csv"]
    with ParsingHelper() as helper, tqdm(files, unit="file", leave=False, disable=None) as bar:
        lines = list(lines_of(bar, args, helper, out.parent))
    if not lines:
        return _failed(f"{args.folder} holds no image that can be read")
    with out.open("x", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
    print(summary(lines, out))
    return 0


def lines_of(files, args: argparse.Namespace, helper: ParsingHelper, beside: Path) -> Iterator[Line]:
    """A line for each image that can be read; the others are named on standard error."""
    from classifier.images.sandbox.client import HelperFailed

    for path in files:
        try:
            with tempfile.TemporaryDirectory(prefix="hilum-") as scratch:
                facts = helper.parse(path, scratch, stated_slot=args.slot)
        except (Refused, HelperFailed, OSError) as error:
            why = ADVICE[error.reason].seen if isinstance(error, Refused) else str(error)
            print(f"{path}: left out: {why}", file=sys.stderr)
            continue
        within = path.relative_to(args.folder).as_posix()
        image = Path(os.path.relpath(path, beside)).as_posix()
        yield {
            "image": image,
            "finding": finding_of(within),
            "patient": patient_of(within, facts.metadata, args.patient) or image,
            "source": args.source,
            **_stated(facts.metadata),
        }


def finding_of(within: str) -> str:
    """The first folder on the way to an image; empty, which is unknown, for `unlabelled` and for none."""
    folder, _, below = within.partition("/")
    return folder if below and folder != UNLABELLED else ""


def patient_of(within: str, metadata: dict, pattern: re.Pattern | None) -> str:
    """Of the header, else of the path by the pattern; empty where neither tells."""
    if stated := str(metadata.get("PatientID") or "").strip():
        return stated
    found = pattern.search(f"/{within}") if pattern else None
    return (found and found[1]) or ""


def _stated(metadata: dict) -> Line:
    from classifier.images.dicom.metadata import age_in_years

    age = age_in_years(metadata)
    columns = {"modality": "Modality", "view": "ViewPosition", "sex": "PatientSex"}
    stated = {name: str(metadata.get(keyword) or "") for name, keyword in columns.items()}
    return {**stated, "age": "" if age is None else f"{age:g}"}


def summary(lines: list[Line], out: Path) -> str:
    """What was written, and what to mind before it is trained on."""
    findings = Counter(line["finding"] or "unknown" for line in lines)
    patients = {line["patient"] for line in lines}
    counts = ", ".join(f"{name} {number:,}" for name, number in sorted(findings.items()))
    said = [f"{out}: {len(lines):,} images of {len(patients):,} patients; {counts}"]
    if alone := sum(line["patient"] == line["image"] for line in lines):
        said.append(
            f"{alone:,} images name no patient, so each is taken to be of another one. If a person may have"
            " several, say whose they are (--patient, or the column): else unseen patients are not unseen."
        )
    return "\n".join(said)


def _failed(why: str) -> int:
    print(why, file=sys.stderr)
    return 1
