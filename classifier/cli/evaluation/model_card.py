"""The card is read from the header of the file; the weights are not loaded."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="FILE", help="a model file")


def run(args: argparse.Namespace) -> int:
    from classifier.artifact.header import read_header
    from classifier.evaluation.model_card import render

    header = read_header(args.model)
    sys.stdout.write(render(header.card, header.spec, sha256=header.sha256))
    return 0
