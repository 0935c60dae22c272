"""The classifier itself is not changed. Pass its training manifest, with the conditions and seed of the
training, so that its test part stays unseen. `train` does the same for every new model.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from classifier.cli.training.extending import add_extending_options, extend

add_arguments = add_extending_options


def run(args: argparse.Namespace) -> int:
    from classifier.artifact.header import WARNING_LIMITS
    from classifier.training.warnings.fit import fit, with_warnings

    def fitted(artifact, rows, cache, device, seed):
        found = fit(artifact, rows, cache, device=device, seed=seed, quiet=args.json)
        artifact.network.cpu()
        return with_warnings(artifact, found, WARNING_LIMITS), found.report

    return extend(args, fitted, summary)


def summary(report: Mapping[str, Any]) -> str:
    """The report as a few lines of text."""
    images = report["images"]
    lines = [f"fitted on {images['train']:,} images, limits set on {images['val']:,} others"]
    if mirrored := report["mirrored"]:
        lines.append(
            f"mirrored images found: {100 * mirrored['found']:.0f} %, "
            f"others taken for mirrored: {100 * mirrored['for_nothing']:.1f} %"
        )
    return "\n".join(lines)
