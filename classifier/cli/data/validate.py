"""Warns about anything that lets a model score well without looking at lungs: findings confounded with
sources, image sizes, borders or ages; duplicates and patients in several parts of the split; rare findings;
unreadable files. `train` runs the same checks first. The exit status is 0, with or without warnings.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from classifier.cli.arguments import add_json_option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--manifest", type=Path, required=True, metavar="CSV", help="images with findings")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="cache image statistics there")
    add_json_option(parser, "print the warnings as one JSON object")


def run(args: argparse.Namespace) -> int:
    from classifier.data.image_cache import statistics_of
    from classifier.data.manifest import read_manifest
    from classifier.data.validation.checks import as_text, validate

    try:
        rows = read_manifest(args.manifest)
        warnings = validate(rows, statistics_of(rows, args.cache, progress=not args.json))
    except (ValueError, OSError) as error:
        print(f"Validation failed: {error}", file=sys.stderr)
        return 1
    if args.json:
        found = [warning.as_dict(examples=True) for warning in warnings]
        print(json.dumps({"images": len(rows), "warnings": found}))
    else:
        print(as_text(warnings))
    return 0
