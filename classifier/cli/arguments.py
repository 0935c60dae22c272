"""Options that several commands share; importable without torch, so that --help answers at once."""

from __future__ import annotations

import argparse


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="FILE", help="use this model instead of the shipped ones")
    parser.add_argument(
        "--modality", choices=["auto", "cxr", "ct"], default="auto", help="what PNG and JPEG images are of"
    )
    add_device_arguments(parser)


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--precision",
        choices=["fp32", "auto"],
        default="fp32",
        help="auto: reduced where that is quicker here",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, ...")
