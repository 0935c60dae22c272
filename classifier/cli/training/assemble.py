"""Gate and segmenter travel with a model: they are put beside its classifier here, and `train --companions`
takes them from one model to the next. Nothing of the classifier changes. What `evaluate --json` says of the
model with them, and statements of its makers, are put into the card in a second go.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from classifier.artifact.weights import Artifact


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="the model to build on")
    parser.add_argument("--gate", type=Path, metavar="DIR", help="what `gate` has written")
    parser.add_argument("--segmenter", type=Path, metavar="FILE", help="what `segmenter` has written")
    parser.add_argument(
        "--ages", type=float, nargs=2, metavar="YEARS", help="answer only for patients this old"
    )
    parser.add_argument(
        "--low-confidence", type=float, metavar="U", help="withhold answers of more uncertainty, 0 to 1"
    )
    parser.add_argument("--about", type=Path, metavar="JSON", help="statements for the card, as in `train`")
    parser.add_argument("--evaluation", type=Path, metavar="JSON", help="what `evaluate --json` has printed")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")


def run(args: argparse.Namespace) -> int:
    from classifier.artifact.weights import load_artifact, resave, verify_golden
    from classifier.cli.models import usable_artifact
    from classifier.inference.auxiliary import Companions

    try:
        artifact = assembled(usable_artifact(args.model), args)
        Companions(artifact, "cpu")
        sha256 = resave(args.out, artifact)
        verify_golden(load_artifact(args.out, expected_sha256=sha256))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{args.out}: {sha256}")
    return 0


def assembled(artifact: Artifact, args: argparse.Namespace) -> Artifact:
    """The artifact with what the arguments name; raises OSError, ValueError where that is not to be had."""
    from safetensors.numpy import load_file

    from classifier.artifact.quantise import restored
    from classifier.training.export import read_about

    parts, card = {}, dict(artifact.card)
    if args.gate:
        parts["gate"] = restored(load_file(args.gate / "gate.safetensors"))
        card["gate"] = json.loads((args.gate / "gate.json").read_text())
    if args.segmenter:
        parts["segmenter"] = restored(load_file(args.segmenter))
        card["segmenter"] = json.loads(args.segmenter.with_suffix(".json").read_text())
    if args.about:
        card["about"] = read_about(args.about)
    if args.evaluation:
        card["evaluation"] = json.loads(args.evaluation.read_text())
    limits = {"age_range": tuple(args.ages) if args.ages else None, "low_confidence": args.low_confidence}
    set_here = {name: limit for name, limit in limits.items() if limit is not None}
    return replace(artifact, **parts, card=card, spec=replace(artifact.spec, **set_here))
