"""A model file contains a few synthetic inputs with the probabilities computed when it was saved. The exit
status is 0 if they are reproduced here, 1 if not, and 2 if the file cannot be used.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from classifier.cli.arguments import add_device_option, add_json_option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="FILE", required=True, help="model file")
    parser.add_argument("--atol", type=float, default=1e-3, help="allowed difference (default: 0.001)")
    add_device_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    from classifier.artifact.weights import verify_golden
    from classifier.cli.models import usable_artifact, usable_device
    from classifier.errors import ArtifactError

    artifact = usable_artifact(Path(args.model), device=usable_device(args.device))
    report = {"file": args.model, "model": artifact.spec.name, "model_sha256": artifact.sha256}
    try:
        report |= {"verified": True, "difference": verify_golden(artifact, atol=args.atol)}
    except ArtifactError as error:
        report |= {"verified": False, "code": error.code, "message": error.message}
    if args.json:
        print(json.dumps(report))
    elif report["verified"]:
        print(f"{args.model}: verified; largest difference {report['difference']:.1g}")
    else:
        print(f"{args.model}: {report['message']}")
    return 0 if report["verified"] else 1
