"""Warns of what would let a model score without knowing lungs: findings that go with sources, sizes, borders
or ages, copies and patients in two parts of the split, rare findings, unreadable files.
`train` begins with it. The exit status is 0 whatever it finds.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--manifest", type=Path, required=True, metavar="CSV", help="images with findings")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep what was seen, for the next time")
    parser.add_argument("--json", action="store_true", help="print the warnings as one JSON object")


def run(args: argparse.Namespace) -> int:
    from classifier.data.image_cache import statistics_of
    from classifier.data.manifest import read_manifest
    from classifier.data.validation.checks import as_text, validate

    try:
        rows = read_manifest(args.manifest)
        warnings = validate(rows, statistics_of(rows, args.cache, progress=not args.json))
    except (ValueError, OSError) as error:
        print(f"validation failed: {error}", file=sys.stderr)
        return 1
    if args.json:
        found = [warning.as_dict(examples=True) for warning in warnings]
        print(json.dumps({"images": len(rows), "warnings": found}))
    else:
        print(as_text(warnings))
    return 0
