"""A model file carries a few synthetic inputs with the probabilities that it gave when it was saved. The exit
status is 0 when it still gives them here, 1 when not, 2 when the file cannot be used.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="FILE", required=True)
    parser.add_argument("--atol", type=float, default=1e-3, help="largest difference in probability (0.001)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, ...")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from classifier.artifact.header import ArtifactError
    from classifier.artifact.weights import verify_golden
    from classifier.cli.models import usable_artifact, usable_device

    artifact = usable_artifact(Path(args.model), device=usable_device(args.device))
    report = {"file": args.model, "model": artifact.spec.name, "model_sha256": artifact.sha256}
    try:
        report |= {"verified": True, "difference": verify_golden(artifact, atol=args.atol)}
    except ArtifactError as error:
        report |= {"verified": False, "code": error.code, "message": error.message}
    if args.json:
        print(json.dumps(report))
    elif report["verified"]:
        print(f"{args.model}: the golden inputs give what they gave, to {report['difference']:.1g}")
    else:
        print(f"{args.model}: {report['message']}")
    return 0 if report["verified"] else 1
