"""Whole patients are assigned, evenly over sources and findings. By default the manifest's own parts stay and
the others follow `--fractions`. With `--held-out`, `--folds` or both, the patients of those rows are the test
part, and an eighth of the others is validation. The fingerprint is the one in the log of `train`; it depends
on the images and their parts only, so that a protocol can state it before anything is trained.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.cli.arguments import add_json_option
from classifier.data.split import FRACTIONS, PARTS, folds, held_out_parts

if TYPE_CHECKING:
    from classifier.data.manifest import Row


def conditions(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def fractions(text: str) -> dict[str, float]:
    return dict(zip(PARTS, map(float, text.split(",")), strict=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    where: dict[str, Any] = {"type": conditions, "default": (), "metavar": "CONDITIONS"}
    add("--manifest", type=Path, required=True, metavar="CSV", help="images with findings and patients")
    add(
        "--out",
        type=Path,
        metavar="CSV",
        help="write the manifest with a `split` column; the image paths must hold from its folder",
    )
    add("--where", **where, help="only rows for which all of these hold, as in source=nih,finding!=normal")
    add("--held-out", **where, help="the test part: rows for which all of these hold, as in source=nih")
    add("--folds", type=int, metavar="N", help="divide patients into N folds, of which --fold is tested")
    add("--fold", type=int, metavar="K", help="the fold that is tested, from 1")
    add("--folds-of", **where, help="rows that --folds divides (default: all but those of --held-out)")
    add(
        "--fractions",
        type=fractions,
        default=FRACTIONS,
        metavar="TRAIN,VAL,TEST",
        help="shares of the parts without --held-out and --folds (default: 0.7,0.1,0.2)",
    )
    add("--seed", type=int, default=0, help="seed of parts and folds (default: 0)")
    add_json_option(parser, "print the counts and the fingerprint as one JSON object")


def run(args: argparse.Namespace) -> int:
    from classifier.training.dataset import split_fingerprint

    try:
        rows = rows_with_parts(args)
        if args.out:
            write(args.manifest, rows, args.out)
    except (ValueError, OSError) as error:
        print(f"split failed: {error}", file=sys.stderr)
        return 1
    counts = Counter(row.split for row in rows)
    facts = {"sha256": split_fingerprint(rows), **{part: counts[part] for part in PARTS}}
    print(json.dumps(facts) if args.json else " ".join(f"{key} {value}" for key, value in facts.items()))
    return 0


def rows_with_parts(args: argparse.Namespace) -> list[Row]:
    """The rows with a part each; raises ValueError for contradictory options and empty selections."""
    from classifier.data.manifest import read_manifest, with_split

    if (args.folds is None) is not (args.fold is None):
        raise ValueError("--folds and --fold require each other")
    if args.folds_of and not args.folds:
        raise ValueError("--folds-of requires --folds")
    rows = read_manifest(args.manifest, where=args.where)
    if not (args.held_out or args.folds):
        return with_split(rows, seed=args.seed, fractions=args.fractions)

    def patients(where: Sequence[str]) -> set[str]:
        return {row.patient for row in read_manifest(args.manifest, where=(*args.where, *where))}

    test = patients(args.held_out) if args.held_out else set()
    if args.folds:
        divided = patients(args.folds_of) - test
        test |= fold_of(
            [row for row in rows if row.patient in divided], count=args.folds, fold=args.fold, seed=args.seed
        )
    parts = held_out_parts(
        [row.patient for row in rows], [row.stratum for row in rows], test=test, seed=args.seed
    )
    return [replace(row, split=part) for row, part in zip(rows, parts, strict=True)]


def fold_of(rows: Sequence[Row], *, count: int, fold: int, seed: int) -> set[str]:
    """The patients of one fold; raises ValueError for a fold that does not exist."""
    if not 1 <= fold <= count:
        raise ValueError(f"there is no fold {fold} of {count}")
    patients = [row.patient for row in rows]
    numbers = folds(patients, [row.stratum for row in rows], count=count, seed=seed)
    return {patient for patient, number in zip(patients, numbers, strict=True) if number == fold}


def write(manifest: Path, rows: Sequence[Row], out: Path) -> None:
    """The manifest's lines of these rows with their parts; raises ValueError if `out` misses an image."""
    from classifier.data.tables.manifest import existing_file, naming_files, read_manifest_table

    missing = next((row.image for row in rows if not existing_file(out.parent, row.image)), None)
    if missing:
        raise ValueError(f"{missing} does not exist in {out.parent}: write --out next to {manifest.name}")
    part_of = {row.image: row.split for row in rows}
    table = read_manifest_table(
        manifest.read_bytes(), manifest.name, fits=naming_files(manifest.parent)
    ).table
    columns = list(dict.fromkeys((*table.columns, "split")))
    lines = [{**line, "split": part_of[line["image"]]} for line in table.records if line["image"] in part_of]
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
