"""The classifier itself is not changed. Pass its training manifest, with the conditions and seed of the
training, so that its test part stays unseen. In the manifest of --other, any finding that the model does not
have is another abnormality; images with the model's own findings, from the same origins, make the report
fairer. The report joins the model card. `train --other-abnormality` does the same for a new model.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.cli.training.extending import add_extending_options, extend


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_extending_options(parser)
    add = parser.add_argument
    add("--other", type=Path, required=True, metavar="CSV", help="images with other abnormalities")
    add("--images", type=int, default=1000, metavar="N", help="most images of each part (default: 1000)")
    add("--draws", type=int, default=1000, help="bootstrap draws (default: 1000)")


def run(args: argparse.Namespace) -> int:
    from classifier.artifact.header import OTHER_ABNORMALITY
    from classifier.training.other_abnormality.fit import fit, with_score
    from classifier.training.other_abnormality.gather import gather

    def fitted(artifact, rows, cache, device, seed):
        options = {"device": device, "seed": seed, "most": args.images, "quiet": args.json}
        found = fit(gather(artifact, rows, args.other, cache, **options), seed=seed, draws=args.draws)
        artifact.network.cpu()
        return with_score(artifact, found, OTHER_ABNORMALITY), found.report

    return extend(args, fitted, summary)


def summary(report: Mapping[str, Any]) -> str:
    """The report as a few lines of text."""
    from classifier.evaluation.model_card import as_text

    lines = [f"withheld above a score of {report['limit']:.3f}"]
    for name, found in report["candidates"].items():
        within = (f"{origin} {as_text(auc)}" for origin, auc in found["auc"].items())
        lines.append(f"{name:22} AUC: {', '.join(within)}")
        shares = found["all"]
        lines.append(
            f"{'':22} reported {as_text(shares['reported'])}, not withheld {as_text(shares['not_withheld'])}"
        )
    cost = report["known"]["all"]
    lines.append(f"known findings         withheld {as_text(cost['withheld'])} of {cost['images']} images")
    return "\n".join(lines)
