"""Measures cover all images, including those whose result is withheld, and are also given by finding, source,
view, sex and age band. Confidence intervals (95 %) come from a bootstrap over patients.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from classifier.cli.arguments import (
    add_device_option,
    add_json_option,
    add_manifest_options,
    add_precision_option,
)

SHORTCUT_IMAGES = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE", help="model file to evaluate")
    add_manifest_options(parser, part="all")
    add(
        "--where",
        type=lambda text: text.split(","),
        default=(),
        metavar="COLUMN=VALUE,...",
        help="use only rows that match every condition, for example source=nih,finding!=normal",
    )
    add(
        "--prevalence",
        type=prevalence_of,
        default={},
        metavar="FINDING=SHARE,...",
        help="also report PPV and NPV at this prevalence, for example covid19=0.02",
    )
    add("--predictions", type=Path, metavar="CSV", help="write the prediction of every image to this file")
    add(
        "--boxes",
        type=Path,
        metavar="CSV",
        help="compare the heatmaps with boxes that readers drew: image,x0,y0,x1,y1 in shares of the image",
    )
    add("--figures", type=Path, metavar="DIR", help="write the curves there as PNG and SVG")
    add(
        "--shortcuts",
        type=int,
        default=SHORTCUT_IMAGES,
        metavar="N",
        help="images for the shortcut test, which needs a model with a lung segmenter "
        f"(0: skip; default: {SHORTCUT_IMAGES})",
    )
    add(
        "--road",
        type=int,
        default=0,
        metavar="N",
        help="images for the heatmap faithfulness test, minutes per hundred (default: 0, skip)",
    )
    add_precision_option(parser)
    add_device_option(parser)
    add_json_option(parser, "print the whole report as one JSON object")


def prevalence_of(text: str) -> dict[str, float]:
    """`covid19=0.02,pneumonia=0.1` as a mapping; raises argparse's error for shares outside 0 to 1."""
    try:
        shares = {name.strip(): float(share) for name, share in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} does not have the form FINDING=SHARE,...") from error
    if not all(0 <= share <= 1 for share in shares.values()):
        raise argparse.ArgumentTypeError(f"{text!r}: a prevalence must be between 0 and 1")
    return shares


def run(args: argparse.Namespace) -> int:
    from classifier.artifact.weights import load_artifact
    from classifier.cli.inputs import manifest_rows
    from classifier.cli.models import usable_device
    from classifier.errors import ArtifactError
    from classifier.evaluation.evaluate import evaluate, summary

    names = (
        "precision",
        "draws",
        "seed",
        "prevalence",
        "shortcuts",
        "road",
        "predictions",
        "figures",
        "boxes",
    )
    options = {name: getattr(args, name) for name in names}
    try:
        rows = manifest_rows(args.manifest, args.part, seed=args.seed, where=args.where)
        model = load_artifact(args.model)
        found = evaluate(model, rows, device=usable_device(args.device), progress=not args.json, **options)
    except (ValueError, OSError, ArtifactError) as error:
        print(f"Evaluation failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found) if args.json else summary(found))
    return 0
