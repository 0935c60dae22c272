"""Gate and segmenter travel with a model: they are put beside its classifier here, and `train --companions`
takes them from one model to the next. Nothing of the classifier changes.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path


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
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")


def run(args: argparse.Namespace) -> int:
    from safetensors.numpy import load_file

    from classifier.cli.models import Unusable, usable_artifact
    from classifier.companions import Companions
    from classifier.storage import restored
    from classifier.weights import load_artifact, resave, verify_golden

    try:
        artifact = usable_artifact(args.model)
        if args.gate:
            rates = json.loads((args.gate / "gate.json").read_text())
            gate = restored(load_file(args.gate / "gate.safetensors"))
            artifact = replace(artifact, gate=gate, card=artifact.card | {"gate": rates})
        if args.segmenter:
            artifact = replace(artifact, segmenter=restored(load_file(args.segmenter)))
        limits = {"age_range": tuple(args.ages) if args.ages else None, "low_confidence": args.low_confidence}
        set_here = {name: limit for name, limit in limits.items() if limit is not None}
        artifact = replace(artifact, spec=replace(artifact.spec, **set_here))
        Companions(artifact, "cpu")
        sha256 = resave(args.out, artifact)
        verify_golden(load_artifact(args.out, expected_sha256=sha256))
    except (Unusable, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{args.out}: {sha256}")
    return 0
