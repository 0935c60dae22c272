"""The classifier itself is not changed; `train` copies the auxiliary networks from an earlier model. Run the
command a second time to add the evaluation of the assembled model, and statements of its authors, to the
model card.
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
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE", help="model file to extend")
    add("--input-check", type=Path, metavar="DIR", help="output of input-check")
    add("--segmenter", type=Path, metavar="FILE", help="output of lung-segmenter")
    add("--ages", type=float, nargs=2, metavar="YEARS", help="withhold results for other patient ages")
    add("--low-confidence", type=float, metavar="U", help="withhold results above this uncertainty (0 to 1)")
    add("--about", type=Path, metavar="JSON", help="statements for the card, as in train")
    add("--evaluation", type=Path, metavar="JSON", help="output of evaluate --json")
    add("--out", type=Path, required=True, metavar="FILE", help="model file to write")


def run(args: argparse.Namespace) -> int:
    from classifier.artifact.weights import load_artifact, resave, verify_golden
    from classifier.cli.models import usable_artifact
    from classifier.inference.auxiliary import AuxiliaryNetworks

    try:
        artifact = assembled(usable_artifact(args.model), args)
        AuxiliaryNetworks(artifact, "cpu")
        sha256 = resave(args.out, artifact)
        verify_golden(load_artifact(args.out, expected_sha256=sha256))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{args.out}: {sha256}")
    return 0


def assembled(artifact: Artifact, args: argparse.Namespace) -> Artifact:
    """The artifact with the given parts and limits. Raises OSError, ValueError."""
    from safetensors.numpy import load_file

    from classifier.artifact.header import INPUT_CHECK
    from classifier.artifact.quantise import restored
    from classifier.training.export import read_about

    parts, card = {}, dict(artifact.card)
    if args.input_check:
        parts["input_check"] = restored(load_file(args.input_check / "input_check.safetensors"))
        card[INPUT_CHECK] = json.loads((args.input_check / "input_check.json").read_text())
    if args.segmenter:
        parts["segmenter"] = restored(load_file(args.segmenter))
        card["segmenter"] = json.loads(args.segmenter.with_suffix(".json").read_text())
    if args.about:
        card["about"] = read_about(args.about)
    if args.evaluation:
        card["evaluation"] = json.loads(args.evaluation.read_text())
    limits = {"age_range": tuple(args.ages) if args.ages else None, "low_confidence": args.low_confidence}
    changed = {name: limit for name, limit in limits.items() if limit is not None}
    return replace(artifact, **parts, card=card, spec=replace(artifact.spec, **changed))
