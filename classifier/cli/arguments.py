"""Options that several commands share; importable without torch, so that --help responds at once."""

from __future__ import annotations

import argparse
from pathlib import Path


class UsageError(Exception):
    """A file, model or device named on the command line cannot be used; the message is for people."""


def add_files_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="DICOM, PNG or JPEG file, ZIP archive or folder"
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="FILE", help="model file (default: the shipped models)")
    parser.add_argument(
        "--modality",
        choices=("auto", "cxr", "ct"),
        default="auto",
        help="modality of images without a DICOM header (default: auto)",
    )
    add_precision_option(parser)
    add_device_option(parser)


def add_precision_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--precision",
        choices=("fp32", "auto"),
        default="fp32",
        help="auto: reduced precision where it is faster on this device (default: fp32)",
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ... (default: auto)")


def add_json_option(parser: argparse.ArgumentParser, purpose: str = "print one JSON object") -> None:
    parser.add_argument("--json", action="store_true", help=purpose)


def add_manifest_options(parser: argparse.ArgumentParser, *, part: str) -> None:
    """The manifest, the part of its split, the seed and the bootstrap draws of an evaluation."""
    parser.add_argument("--manifest", type=Path, required=True, metavar="CSV", help="images with findings")
    parser.add_argument(
        "--part",
        choices=("all", "train", "val", "test"),
        default=part,
        help=f"part of the manifest's split, or of a split drawn by --seed if it has none (default: {part})",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of split and bootstrap (default: 0)")
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws (default: 1000)")
