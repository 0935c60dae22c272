"""Joins folders that `train --folds N --fold K` wrote in separate runs; each image is predicted by the model
that was not trained on it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.artifact.header import read_header
from classifier.errors import ArtifactError
from classifier.evaluation.predictions import read_predictions
from classifier.evaluation.report import Table, describe, overall

if TYPE_CHECKING:
    from classifier.training.config import Config

ARTIFACT, PREDICTIONS, REPORT, FIGURES = "model.safetensors", "predictions.csv", "evaluation.json", "figures"
LOCATIONS = "localisation.csv"


def train_folds(config: Config, train: Callable[[Config], Path]) -> Path:
    """Train every fold in a folder of its own and report on them together; returns the report's path.

    With `resume`, folds that are finished are kept.
    """
    folders = [config.out / f"fold-{fold}" for fold in range(1, config.folds + 1)]
    cache = config.cache or config.out / "cache"
    for fold, folder in enumerate(folders, start=1):
        if not (config.resume and (folder / ARTIFACT).exists()):
            train(replace(config, fold=fold, out=folder, cache=cache))
    found = pool(folders, config.manifest, seed=config.seed)
    return write(found, folders, config.out)


def pool(
    folders: Sequence[Path],
    manifest: Path,
    *,
    draws: int = 1000,
    seed: int = 0,
    prevalence: Mapping | None = None,
) -> dict[str, Any]:
    """The report on the predictions of several runs' folders, each case at its own model's thresholds.

    `folds` holds each fold's own measures; `localisation` is of the folds that were trained with --boxes.
    Raises ValueError where an image was predicted twice or the models have different findings.
    """
    from classifier.data.manifest import read_manifest
    from classifier.evaluation.localisation import localisation, read_locations

    rows = {row.image: row for row in read_manifest(manifest)}
    tables, without, seen = [], 0, Counter()
    for folder in folders:
        spec = read_header(folder / ARTIFACT).spec
        cases, left = read_predictions(folder / PREDICTIONS, spec, rows)
        seen.update(case.row.image for case in cases)
        tables.append(Table.of(spec, cases, draws=draws, seed=seed))
        without += len(left)
    if len({table.findings for table in tables}) != 1:
        raise ValueError("the folders' models do not have the same findings")
    if seen and max(seen.values()) > 1:
        raise ValueError(f"{sum(n > 1 for n in seen.values())} images were predicted by more than one fold")
    found = describe(Table.joined(tables), prevalence=prevalence, without=without)
    located = [folder / LOCATIONS for folder in folders if (folder / LOCATIONS).exists()]
    if located:
        maps = [one for path in located for one in read_locations(path)]
        found["localisation"] = localisation(maps, rows, draws=draws, seed=seed)
    each = [{"cases": len(table), **overall(table)} for table in tables]
    return {**found, "folds": each, "model": f"{len(tables)} folds"}


def write(found: Mapping[str, Any], folders: Sequence[Path], out: Path) -> Path:
    """Report, predictions of all folds and figures, in `out`; returns the report's path."""
    from classifier.evaluation.figures import draw

    out.mkdir(parents=True, exist_ok=True)
    (out / REPORT).write_text(json.dumps(found, indent=1))
    lines = [(folder / PREDICTIONS).read_text(encoding="utf-8").splitlines() for folder in folders]
    table = [lines[0][0], *(line for of_fold in lines for line in of_fold[1:])]
    (out / PREDICTIONS).write_text("\n".join(table) + "\n", encoding="utf-8")
    draw(found, out / FIGURES)
    return out / REPORT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, nargs="+", metavar="DIR", help="the --out of a finished fold")
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="CSV", help="what they were trained on"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write report, predictions and figures there")
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.add_argument("--json", action="store_true", help="print the whole report as one JSON object")


def run(args: argparse.Namespace) -> int:
    from classifier.evaluation.evaluate import summary

    try:
        found = pool(args.folder, args.manifest, draws=args.draws, seed=args.seed)
        if args.out:
            write(found, args.folder, args.out)
    except (ValueError, OSError, ArtifactError) as error:
        print(f"pooling failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found) if args.json else summary(found))
    return 0
