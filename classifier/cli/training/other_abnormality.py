"""The classifier itself is not changed. Pass its training manifest, with the conditions and seed of the
training, so that its test part stays unseen. In the manifest of --other, any finding that the model does not
have is another abnormality; images with the model's own findings, from the same origins, make the report
fairer. The report joins the model card. `train --other-abnormality` does the same for a new model.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.cli.arguments import add_device_option, add_json_option

if TYPE_CHECKING:
    from classifier.artifact.weights import Artifact
    from classifier.data.manifest import Row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE", help="model file to extend")
    add_training_rows(parser)
    add("--other", type=Path, required=True, metavar="CSV", help="images with other abnormalities")
    add("--out", type=Path, required=True, metavar="FILE", help="model file to write")
    add("--images", type=int, default=1000, metavar="N", help="most images of each part (default: 1000)")
    add("--cache", type=Path, metavar="DIR", help="folder for preprocessed images (default: none is kept)")
    add("--draws", type=int, default=1000, help="bootstrap draws (default: 1000)")
    add_device_option(parser)
    add_json_option(parser, "print the report as one JSON object")


def run(args: argparse.Namespace) -> int:
    from classifier.artifact.header import OTHER_ABNORMALITY
    from classifier.artifact.weights import load_artifact, resave, verify_golden
    from classifier.cli.models import usable_artifact, usable_device
    from classifier.training.other_abnormality.fit import fit, with_score
    from classifier.training.other_abnormality.gather import gather

    device, artifact = usable_device(args.device), usable_artifact(args.model)
    seed = artifact.spec.provenance.get("seed", 0) if args.seed is None else args.seed
    try:
        rows = rows_of(artifact, args, seed=seed)
        with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
            options = {"device": device, "seed": seed, "most": args.images, "quiet": args.json}
            cases = gather(artifact, rows, args.other, args.cache or Path(folder), **options)
        fitted = fit(cases, seed=seed, draws=args.draws)
        artifact.network.cpu()
        sha256 = resave(args.out, with_score(artifact, fitted, OTHER_ABNORMALITY))
        written = load_artifact(args.out, expected_sha256=sha256)
        if written.golden is not None:
            verify_golden(written)
    except (ValueError, OSError) as error:
        print(f"fitting failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(fitted.report) if args.json else f"{summary(fitted.report)}\n{args.out}: {sha256}")
    return 0


def add_training_rows(parser: argparse.ArgumentParser) -> None:
    """The options that `rows_of` reads."""
    add = parser.add_argument
    add("--manifest", type=Path, required=True, metavar="CSV", help="images that the model was trained on")
    add(
        "--where",
        type=lambda text: text.split(","),
        default=(),
        metavar="COLUMN=VALUE,...",
        help="only the manifest's rows for which all of these hold, as in the training",
    )
    add("--seed", type=int, help="seed of the split (default: the seed that the model states)")


def rows_of(artifact: Artifact, args: argparse.Namespace, *, seed: int) -> list[Row]:
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
