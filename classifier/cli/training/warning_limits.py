"""The classifier itself is not changed. Pass its training manifest, with the conditions and seed of the
training, so that its test part stays unseen. `train` does the same for every new model.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.cli.arguments import add_device_option, add_json_option
from classifier.cli.training.other_abnormality import add_training_rows, rows_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE", help="model file to extend")
    add_training_rows(parser)
    add("--out", type=Path, required=True, metavar="FILE", help="model file to write")
    add("--cache", type=Path, metavar="DIR", help="folder for preprocessed images (default: none is kept)")
    add_device_option(parser)
    add_json_option(parser, "print the report as one JSON object")


def run(args: argparse.Namespace) -> int:
    from classifier.artifact.header import WARNING_LIMITS
    from classifier.artifact.weights import load_artifact, resave, verify_golden
    from classifier.cli.models import usable_artifact, usable_device
    from classifier.training.warnings.fit import fit, with_warnings

    device, artifact = usable_device(args.device), usable_artifact(args.model)
    seed = artifact.spec.provenance.get("seed", 0) if args.seed is None else args.seed
    try:
        rows = rows_of(artifact, args, seed=seed)
        with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
            options = {"device": device, "seed": seed, "quiet": args.json}
            fitted = fit(artifact, rows, args.cache or Path(folder), **options)
        artifact.network.cpu()
        sha256 = resave(args.out, with_warnings(artifact, fitted, WARNING_LIMITS))
        written = load_artifact(args.out, expected_sha256=sha256)
        if written.golden is not None:
            verify_golden(written)
    except (ValueError, OSError) as error:
        print(f"fitting failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(fitted.report) if args.json else f"{summary(fitted.report)}\n{args.out}: {sha256}")
    return 0


def summary(report: Mapping[str, Any]) -> str:
    """The report as a few lines of text."""
    images = report["images"]
    lines = [f"fitted on {images['train']:,} images, limits set on {images['val']:,} others"]
    if mirrored := report["mirrored"]:
        lines.append(
            f"mirrored images found: {100 * mirrored['found']:.0f} %, "
            f"others taken for mirrored: {100 * mirrored['for_nothing']:.1f} %"
        )
    return "\n".join(lines)
