"""What the commands share that add to a model file without changing its network."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.cli.arguments import add_device_option, add_json_option

if TYPE_CHECKING:
    from classifier.artifact.weights import Artifact
    from classifier.data.manifest import Row

Report = Mapping[str, Any]


def add_extending_options(parser: argparse.ArgumentParser) -> None:
    """The options that `extend` reads."""
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE", help="model file to extend")
    add("--manifest", type=Path, required=True, metavar="CSV", help="images that the model was trained on")
    add(
        "--where",
        type=lambda text: text.split(","),
        default=(),
        metavar="COLUMN=VALUE,...",
        help="only the manifest's rows for which all of these hold, as in the training",
    )
    add("--seed", type=int, help="seed of the split (default: the seed that the model states)")
    add("--out", type=Path, required=True, metavar="FILE", help="model file to write")
    add("--cache", type=Path, metavar="DIR", help="folder for preprocessed images (default: none is kept)")
    add_device_option(parser)
    add_json_option(parser, "print the report as one JSON object")


def extend(
    args: argparse.Namespace,
    fitted: Callable[[Artifact, list[Row], Path, str, int], tuple[Artifact, Report]],
    summary: Callable[[Report], str],
) -> int:
    """Write the artifact that `fitted` makes of artifact, rows, cache, device and seed; print its report.

    The file is read back and held to its golden input. Returns the exit status.
    """
    from classifier.artifact.weights import load_artifact, resave, verify_golden
    from classifier.cli.models import usable_artifact, usable_device

    device, artifact = usable_device(args.device), usable_artifact(args.model)
    seed = artifact.spec.provenance.get("seed", 0) if args.seed is None else args.seed
    try:
        rows = _rows_of(artifact, args, seed=seed)
        with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
            extended, report = fitted(artifact, rows, args.cache or Path(folder), device, seed)
        sha256 = resave(args.out, extended)
        written = load_artifact(args.out, expected_sha256=sha256)
        if written.golden is not None:
            verify_golden(written)
    except (ValueError, OSError) as error:
        print(f"fitting failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report) if args.json else f"{summary(report)}\n{args.out}: {sha256}")
    return 0


def _rows_of(artifact: Artifact, args: argparse.Namespace, *, seed: int) -> list[Row]:
    """The manifest's rows with their parts; warns if these are not the parts of the model's training."""
    from classifier.data.manifest import read_manifest, with_split
    from classifier.training.dataset import split_fingerprint

    rows = with_split(read_manifest(args.manifest, where=args.where), seed=seed)
    stated = artifact.spec.provenance.get("split_sha256")
    if stated and stated != split_fingerprint(rows):
        print(
            "Warning: this is not the split that the model states, so its test part is not known here. "
            "Pass the manifest, --where and --seed of its training.",
            file=sys.stderr,
        )
    return rows
