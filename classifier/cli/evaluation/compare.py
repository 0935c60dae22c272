"""Reports every measure of both models, and the difference with its 95 % confidence interval (paired
bootstrap by patient), with and without withheld results; the images whose reported finding changes; and the
shortcut test of models with a lung segmenter.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.cli.arguments import add_device_option, add_json_option, add_manifest_options
from classifier.contract import finding_name

if TYPE_CHECKING:
    from classifier.data.manifest import Row
    from classifier.evaluation.compare import ModelPredictions

SHORTCUT_IMAGES = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE", help="candidate model")
    add("--against", type=Path, metavar="FILE", help="active model (default: none)")
    add_manifest_options(parser, part="test")
    add(
        "--shortcuts",
        type=int,
        default=SHORTCUT_IMAGES,
        metavar="N",
        help=f"images for the shortcut test (0: skip; default: {SHORTCUT_IMAGES})",
    )
    add_device_option(parser)
    add("--out", type=Path, metavar="FILE", help="write the whole comparison to this file")
    add_json_option(parser, "print JSON lines")


def run(args: argparse.Namespace) -> int:
    from classifier.cli.inputs import manifest_rows
    from classifier.cli.models import usable_device
    from classifier.errors import ArtifactError

    args.device = usable_device(args.device)
    try:
        found = compare_models(manifest_rows(args.manifest, args.part, seed=args.seed), args)
        if args.out:
            write(args.out, found)
    except (ValueError, OSError, ArtifactError) as error:
        print(f"Comparison failed: {error}", file=sys.stderr)
        return 1
    if not args.json:
        print(summary(found))
    else:
        print(json.dumps({"event": "done", "artifact": str(args.out)} if args.out else found))
    return 0


def compare_models(rows: Sequence[Row], args: argparse.Namespace) -> dict[str, Any]:
    """The comparison with names and hashes of the models, and their shortcut tests."""
    from classifier.evaluation.compare import SIDES, compare

    predictions, models, shortcuts = [], {}, {}
    for side, path in zip(SIDES, (args.model, args.against), strict=True):
        if path is not None:
            found, models[side], shortcuts[side] = predict(path, rows, args)
            predictions.append(found)
    found = compare(*predictions, draws=args.draws, seed=args.seed)
    return {"models": models, **found, "shortcuts": shortcuts}


def predict(
    path: Path, rows: Sequence[Row], args: argparse.Namespace
) -> tuple[ModelPredictions, dict[str, str], dict[str, Any] | None]:
    """The predictions of a model, its name and hash, and its shortcut test (None without a segmenter)."""
    from classifier.artifact.weights import load_artifact
    from classifier.evaluation.compare import ModelPredictions
    from classifier.evaluation.evaluate import attention_tests
    from classifier.evaluation.predictions import predict_rows
    from classifier.inference.predictor import Predictor

    artifact = load_artifact(path)
    cases, without = predict_rows(Predictor(artifact, args.device), rows, quiet=args.json)
    known = [row for row in rows if set(row.findings or ()) <= set(artifact.spec.findings)]
    options = {"draws": args.draws, "seed": args.seed, "progress": not args.json}
    tests = attention_tests(artifact, known, args.device, shortcuts=args.shortcuts, road=0, **options)
    model = {"name": artifact.spec.name, "sha256": artifact.sha256}
    return ModelPredictions(artifact.spec, cases, without), model, tests.get("shortcuts")


def write(path: Path, found: Mapping[str, Any]) -> None:
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(found))
    os.replace(temporary, path)


def summary(found: Mapping[str, Any]) -> str:
    """The comparison as a few lines of text."""
    from classifier.evaluation.model_card import as_text

    names = [model["name"] for model in found["models"].values()]
    lines = [f"{' vs. '.join(names)}: {found['cases']} images of {found['patients']} patients"]
    measures = {**found["all"]["overall"]}
    measures |= {f"{finding_name(f)} AUC": values["auc"] for f, values in found["all"]["findings"].items()}
    for name, values in measures.items():
        sides = [f"{side} {as_text(value)}" for side, value in values.items() if value]
        lines.append(f"{name:20} " + ", ".join(sides))
    lines.append("coverage             " + ", ".join(f"{s} {v:.3f}" for s, v in found["coverage"].items()))
    lines.append(f"Reported finding changed: {len(found['changes'])} of {found['compared']} images")
    return "\n".join(lines)
