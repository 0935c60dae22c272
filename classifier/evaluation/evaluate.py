"""Evaluation: an artifact and a manifest in, measures with confidence intervals out.

Images take the way that uploads take: reader, preprocessing and predictor are the serving ones. Measures
are given over all cases, withheld ones too, by finding, source, view, sex and age band; intervals (95 %) come
from a bootstrap over patients.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.evaluation.model_card_measures import as_text
from classifier.evaluation.predictions import predict_rows, write_predictions
from classifier.evaluation.report import report

if TYPE_CHECKING:
    import numpy as np

    from classifier.artifact.weights import Artifact
    from classifier.data.manifest import Row

CASES = 500  # for the shortcut test


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="the artifact to evaluate")
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="CSV", help="images with their findings"
    )
    parser.add_argument(
        "--where",
        type=lambda text: text.split(","),
        default=(),
        metavar="COLUMN=VALUE,...",
        help="only the rows for which all of these hold, as in source=nih,finding!=normal",
    )
    parser.add_argument(
        "--part",
        choices=("all", "train", "val", "test"),
        default="all",
        help="of the manifest's own split, or of the one that --seed gives where it has none (default: all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split and of the bootstrap (default: 0)")
    parser.add_argument(
        "--draws", type=int, default=1000, help="bootstrap draws for the intervals (default: 1000)"
    )
    parser.add_argument(
        "--prevalence",
        type=prevalence_of,
        default={},
        metavar="FINDING=SHARE,...",
        help="also give PPV and NPV where so large a share of patients has the finding, as in covid19=0.02",
    )
    parser.add_argument(
        "--predictions", type=Path, metavar="CSV", help="also write every image's answer, one a line"
    )
    parser.add_argument("--figures", type=Path, metavar="DIR", help="also draw the curves, as PNG and SVG")
    parser.add_argument(
        "--shortcuts",
        type=int,
        default=CASES,
        metavar="N",
        help="hide the lungs of so many images, if the model carries a lung segmenter "
        f"(0: leave out; default: {CASES})",
    )
    parser.add_argument(
        "--road",
        type=int,
        default=0,
        metavar="N",
        help="measure the maps' faithfulness on so many images: minutes each hundred (default: leave out)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--precision", choices=("fp32", "auto"), default="fp32", help="default: fp32")
    parser.add_argument("--json", action="store_true", help="print the whole report as one JSON object")


def prevalence_of(text: str) -> dict[str, float]:
    """`covid19=0.02,pneumonia=0.1` as a mapping; raises argparse's error for shares outside 0 to 1."""
    try:
        shares = {name.strip(): float(share) for name, share in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not FINDING=SHARE,...") from error
    if not all(0 <= share <= 1 for share in shares.values()):
        raise argparse.ArgumentTypeError("a prevalence is a share from 0 to 1")
    return shares


def run(args: argparse.Namespace) -> int:
    import torch

    from classifier.artifact.weights import ArtifactError, load_artifact
    from classifier.data.manifest import read_manifest, with_split

    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        artifact, rows = load_artifact(args.model), read_manifest(args.manifest, where=args.where)
        if args.part != "all":
            rows = [row for row in with_split(rows, seed=args.seed) if row.split == args.part]
        found = evaluated(artifact, rows, args)
    except (ValueError, OSError, ArtifactError) as error:
        print(f"evaluation failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found) if args.json else summary(found))
    return 0


def evaluated(artifact: Artifact, rows: list[Row], args: argparse.Namespace) -> dict[str, Any]:
    """The report, once the files that were asked for are written; raises ValueError for unknown findings."""
    from classifier.data.manifest import targets_of
    from classifier.inference.predictor import Predictor

    spec = artifact.spec
    targets_of(rows, spec.findings)  # a finding that the model lacks is told before the wait
    cases, without = predict_rows(Predictor(artifact, args.device, args.precision), rows, quiet=args.json)
    if args.predictions:
        write_predictions(args.predictions, spec, rows, cases, without)
    found = report(
        spec,
        cases,
        draws=args.draws,
        seed=args.seed,
        prevalence=args.prevalence,
        without=sum(row.image in without for row in rows if row.findings),
    )
    how = {"draws": args.draws, "seed": args.seed, "progress": not args.json}
    found |= looked_into(artifact, rows, args.device, shortcuts=args.shortcuts, road=args.road, **how)
    found |= {"model": spec.name, "model_sha256": artifact.sha256, "without_answer": without}
    if args.figures:
        from classifier.evaluation.figures import draw

        draw(found, args.figures)
    return found


def looked_into(
    artifact: Artifact, rows: Sequence[Row], device: str, *, shortcuts: int, road: int, **how: Any
) -> dict[str, Any]:
    """The shortcut test and ROAD on so many of the rows each, where they are wanted and can be had."""
    import torch

    from classifier.data.manifest import image_of
    from classifier.evaluation import faithfulness
    from classifier.evaluation.shortcuts import of_artifact
    from classifier.inference.auxiliary import Companions
    from classifier.networks.preprocess import cut

    found: dict[str, Any] = {}
    if shortcuts and artifact.segmenter:
        found["shortcuts"] = of_artifact(artifact, rows, device, cases=shortcuts, **how)
    if road:
        network, look = artifact.network.to(device), Companions(artifact, torch.device(device)).look

        def working(row: Row) -> np.ndarray:
            decoded = image_of(row, artifact.spec.slot).working
            return cut(decoded, look([decoded])[0].box)

        found["road"] = faithfulness.road(network, artifact.spec, rows, road, working=working, **how)
    return found


def summary(found: Mapping[str, Any]) -> str:
    """A few lines for people."""
    lines = [f"{found['model']}: {found['cases']} images of {found['patients']} patients"]
    lines += [f"{name:20} {as_text(value)}" for name, value in found["overall"].items()]
    for finding, values in found["findings"].items():
        chosen = (f"{key} {as_text(values[key])}" for key in ("auc", "sensitivity", "specificity"))
        lines.append(f"{finding:20} " + ", ".join(chosen))
    answered = found["answered"]
    if answered["coverage"] < 1:
        lines.append(f"answered             {answered['coverage']:.3f} of the images")
    lines += [f"  of these {name:11} {as_text(v)}" for name, v in answered.get("overall", {}).items()]
    for view in ("whole", "lungs_hidden", "lungs_only") if "whole" in found.get("shortcuts", {}) else ():
        auc = found["shortcuts"][view]["auc"]["macro_auc"]
        lines.append(f"{view.replace('_', ' '):20} macro AUC {as_text(auc)}")
    for source, values in found["sources"].items():
        for pair, measure in values["pairs"].items():
            lines.append(f"within {source}: {pair}: AUC {as_text(measure['auc'])} ({measure['cases']} cases)")
    return "\n".join(lines)
