"""The files are marked as synthetic, and a manifest is written next to them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from classifier.cli.arguments import add_json_option
from classifier.phantom.collection import (
    DEFAULT_SEED,
    FORMATS,
    TRAINING_SIZE,
    write_collection,
    write_training_set,
)
from classifier.phantom.render import DEFAULT_SIZE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    add(
        "--patients", type=int, default=4, metavar="N", help="patients, each with 1 to 5 studies (default: 4)"
    )
    add("--seed", type=int, default=DEFAULT_SEED, help="the same seed gives the same files")
    add("--format", choices=FORMATS, default="both", help="default: both, alternately")
    add(
        "--size",
        type=int,
        metavar="PX",
        help=f"height (default: {DEFAULT_SIZE}; for training {TRAINING_SIZE})",
    )
    add(
        "--for-training",
        action="store_true",
        help="small PNG files: each patient once without and three times with opacities",
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    options = {
        "patients": args.patients,
        "seed": args.seed,
        "progress": sys.stderr.isatty() and not args.json,
    }
    if args.for_training:
        manifest = write_training_set(args.out, size=args.size or TRAINING_SIZE, **options)
    else:
        manifest = write_collection(args.out, size=args.size or DEFAULT_SIZE, format=args.format, **options)
    print(json.dumps({"manifest": str(manifest)}) if args.json else manifest)
    return 0
