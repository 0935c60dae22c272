"""Compares a model with the one in use on the same images: each measure of both, and the difference with
its 95 % interval (paired bootstrap by patient), on all cases and on those that each answered; the images
whose reported finding changes; and, where the models carry a lung segmenter, each one's shortcut test.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classifier.data.manifest import Row
    from classifier.evaluation.compare import Answers

SHORTCUT_CASES = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="the candidate")
    parser.add_argument("--against", type=Path, metavar="FILE", help="the model in use (default: none)")
    parser.add_argument("--manifest", type=Path, required=True, metavar="CSV", help="labelled images")
    parser.add_argument(
        "--part",
        choices=("all", "train", "val", "test"),
        default="test",
        help="of the manifest's own split, or of the one that --seed gives (default: test)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split and of the bootstrap (default: 0)")
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws (default: 1000)")
    parser.add_argument(
        "--shortcuts",
        type=int,
        default=SHORTCUT_CASES,
        metavar="N",
        help=f"hide the lungs of so many images (0: leave out; default: {SHORTCUT_CASES})",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the whole comparison there")
    parser.add_argument("--json", action="store_true", help="JSON lines on standard output")


def run(args: argparse.Namespace) -> int:
    from classifier.artifact.weights import ArtifactError
    from classifier.cli.inputs import manifest_rows
    from classifier.cli.models import usable_device

    args.device = usable_device(args.device)
    try:
        rows = manifest_rows(args.manifest, args.part, seed=args.seed)
        found = compared(rows, args)
        if args.out:
            write(args.out, found)
    except (ValueError, OSError, ArtifactError) as error:
        print(f"Comparison failed: {error}", file=sys.stderr)
        return 1
    if not args.json:
        print(summary(found))
    elif args.out:
        print(json.dumps({"event": "done", "artifact": str(args.out)}))
    else:
        print(json.dumps(found))
    return 0


def compared(rows: Sequence[Row], args: argparse.Namespace) -> dict[str, Any]:
    """The comparison with the models' names and hashes, and the shortcut tests as far as they can be made."""
    from classifier.evaluation.compare import SIDES, compare

    answers, models, shortcuts = [], {}, {}
    for side, path in zip(SIDES, (args.model, args.against), strict=True):
        if path is None:
            continue
        said, models[side], shortcuts[side] = answered(path, rows, args)
        answers.append(said)
    found = compare(*answers, draws=args.draws, seed=args.seed)
    return {"models": models, **found, "shortcuts": shortcuts}


def answered(
    path: Path, rows: Sequence[Row], args: argparse.Namespace
) -> tuple[Answers, dict[str, str], dict[str, Any] | None]:
    """A model's answers, its name and hash, and its shortcut test (None without a segmenter)."""
    from classifier.artifact.weights import load_artifact
    from classifier.evaluation.compare import Answers
    from classifier.evaluation.evaluate import attention_tests
    from classifier.evaluation.predictions import predict_rows
    from classifier.inference.predictor import Predictor

    artifact = load_artifact(path)
    cases, without = predict_rows(Predictor(artifact, args.device), rows, quiet=args.json)
    ours = [row for row in rows if set(row.findings or ()) <= set(artifact.spec.findings)]
    looked = attention_tests(
        artifact, ours, args.device, shortcuts=args.shortcuts, road=0,
        draws=args.draws, seed=args.seed, progress=not args.json,
    )  # fmt: skip
    model = {"name": artifact.spec.name, "sha256": artifact.sha256}
    return Answers(artifact.spec, cases, without), model, looked.get("shortcuts")


def write(path: Path, found: Mapping[str, Any]) -> None:
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(found))
    os.replace(temporary, path)


def summary(found: Mapping[str, Any]) -> str:
    """A few lines for people."""
    from classifier.evaluation.model_card_measures import as_text

    names = [model["name"] for model in found["models"].values()]
    lines = [f"{' against '.join(names)}: {found['cases']} images of {found['patients']} patients"]
    measured = {**found["all"]["overall"]}
    measured |= {f"{f} AUC": values["auc"] for f, values in found["all"]["findings"].items()}
    for name, values in measured.items():
        told = [f"{side} {as_text(value)}" for side, value in values.items() if value]
        lines.append(f"{name:20} " + ", ".join(told))
    lines.append("coverage             " + ", ".join(f"{s} {v:.3f}" for s, v in found["coverage"].items()))
    lines.append(f"{len(found['changes'])} of {found['compared']} images change their reported finding")
    return "\n".join(lines)
