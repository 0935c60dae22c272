"""Evaluation: an artifact and a manifest in, measures with confidence intervals out.

`python -m classifier evaluate --model FILE --manifest CSV --json [--predictions CSV]`. Pictures take the way
that uploads take: reader, preprocessing and predictor are the serving ones.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier import metrics
from classifier.contract import ModelSpec, Prediction

if TYPE_CHECKING:
    from classifier.data import Row
    from classifier.predictor import Predictor

CHUNK = 32
FEWEST = 5  # cases on each side below which no AUC is given
Measure = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Case:
    """One picture that got an answer."""

    row: Row
    prediction: Prediction
    grids: dict[str, list[list[float]]]


def predict_rows(
    predictor: Predictor, rows: Sequence[Row], *, quiet: bool = False
) -> tuple[list[Case], dict[str, str]]:
    """Answers for the rows' pictures, and the images without one, with their reasons."""
    from tqdm import tqdm

    from classifier.errors import Refused
    from classifier.images import reading
    from classifier.predictor import Failure, Input

    cases: list[Case] = []
    without: dict[str, str] = {}
    with tqdm(total=len(rows), desc="predicting", unit="img", disable=True if quiet else None) as bar:
        for start in range(0, len(rows), CHUNK):
            chunk, items = [], []
            for row in rows[start : start + CHUNK]:
                try:
                    picture = reading.read(row.path)
                except Refused as refusal:
                    without[row.image] = str(refusal.reason)
                else:
                    chunk.append(row)
                    items.append(Input(picture.working, picture.display.shape, row.age))
            for row, answer in zip(chunk, predictor.predict(items), strict=True):
                if isinstance(answer, Failure):
                    without[row.image] = answer.code
                else:
                    cases.append(Case(row, answer.prediction, dict(answer.cam.grids)))
            bar.update(min(CHUNK, len(rows) - start))
    return cases, without


def probabilities_of_cases(cases: Sequence[Case], spec: ModelSpec) -> np.ndarray:
    """Float64 (N, findings)."""
    return np.array([[case.prediction.probabilities[f] for f in spec.findings] for case in cases]).reshape(
        len(cases), len(spec.findings)
    )


def report(spec: ModelSpec, cases: Sequence[Case], *, draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Measures of the cases with a known finding, `{"value", "low", "high"}` (95 %, bootstrap by patient).

    All cases count, withheld ones too; `withheld` says how many these were. Raises ValueError without cases.
    """
    from classifier.data import targets_of

    known = [case for case in cases if case.row.findings]
    if not known:
        raise ValueError("no picture with a known finding got an answer")
    targets = targets_of([case.row for case in known], spec.findings)
    table = Table(spec, known, probabilities_of_cases(known, spec), targets, draws, seed)
    sources = sorted({case.row.source for case in known})
    return {
        **table.counts(),
        "overall": table.overall(),
        "findings": {finding: table.of_finding(k) for k, finding in enumerate(spec.findings)},
        "confusion": table.confusion(),
        "reported": table.reported(),
        "sources": {name: table.only(source=name).of_source() for name in sources if name},
    }


@dataclass(frozen=True)
class Table:
    """Cases with their probabilities (N, findings) and targets (N, findings), and how to draw intervals."""

    spec: ModelSpec
    cases: Sequence[Case]
    p: np.ndarray
    t: np.ndarray
    draws: int
    seed: int

    def only(self, *, source: str) -> Table:
        kept = [i for i, case in enumerate(self.cases) if case.row.source == source]
        return Table(
            self.spec, [self.cases[i] for i in kept], self.p[kept], self.t[kept], self.draws, self.seed
        )

    @property
    def exclusive(self) -> bool:
        return bool((self.t.sum(axis=1) == 1).all())

    def counts(self) -> dict[str, Any]:
        return {
            "cases": len(self.cases),
            "patients": len({case.row.patient for case in self.cases}),
            "present": {f: int(self.t[:, k].sum()) for k, f in enumerate(self.spec.findings)},
            "withheld": sum(case.prediction.withheld for case in self.cases),
        }

    def overall(self) -> dict[str, Any]:
        """Measures over all findings; those of the most probable one only where each case has exactly one."""
        measures: dict[str, Measure] = {
            "macro_auc": lambda w: metrics.macro_auc(self.p, self.t, w),
            "brier": lambda w: metrics.brier(self.p, self.t, w),
        }
        if self.exclusive:
            measures |= {
                "accuracy": lambda w: metrics.accuracy(self.p, self.t, w),
                "balanced_accuracy": lambda w: metrics.balanced_accuracy(self.p, self.t, w),
                "calibration_error": lambda w: metrics.calibration_error(self.p, self.t, w),
                "log_loss": lambda w: metrics.log_loss(self.p, self.t, w),
            }
        return self.intervals(measures)

    @property
    def _k(self) -> range:
        return range(len(self.spec.findings))

    def of_finding(self, k: int) -> dict[str, Any]:
        """One finding against the rest: AUC, and the decisions at the model's own threshold."""
        scores, positive = self.p[:, k], self.t[:, k] == 1
        threshold = self.spec.threshold(self.spec.findings[k])
        measures: dict[str, Measure] = {"auc": lambda w: metrics.auc(scores, positive, w)}
        for name in ("sensitivity", "specificity", "ppv", "npv", "f1"):
            measures[name] = lambda w, name=name: metrics.decisions(scores, positive, w, threshold)[name]
        return {"threshold": threshold, "present": int(positive.sum()), **self.intervals(measures)}

    def confusion(self) -> dict[str, Any] | None:
        if not self.exclusive:
            return None
        return {"findings": list(self.spec.findings), "counts": metrics.confusion(self.p, self.t)}

    def reported(self) -> dict[str, float]:
        """How often the finding that is shown (the highest above its threshold) is right, or is none."""
        shown = [case.prediction.finding for case in self.cases]
        right = [s in (case.row.findings or ()) for s, case in zip(shown, self.cases, strict=True)]
        return {"right": float(np.mean(right)), "none": float(np.mean([s is None for s in shown]))}

    def of_source(self) -> dict[str, Any]:
        """Within one source: counts, accuracy, and each pair of findings ranked against each other."""
        measures: dict[str, Measure] = {}
        if self.exclusive:
            measures["accuracy"] = lambda w: metrics.accuracy(self.p, self.t, w)
        return {**self.counts(), **self.intervals(measures), "pairs": self.pairs()}

    def pairs(self) -> dict[str, Any]:
        """AUC of p(a) against p(b) on the cases that have exactly one of the two: no source to recognise."""
        found = {}
        for a, b in itertools.combinations(self._k, 2):
            apart = self.t[:, a] != self.t[:, b]
            if min((self.t[apart, a] == 1).sum(), (self.t[apart, b] == 1).sum()) < FEWEST:
                continue
            scores = np.log(self.p[:, a] + 1e-12) - np.log(self.p[:, b] + 1e-12)
            measure = {"auc": lambda w, s=scores, a=a, m=apart: metrics.auc(s[m], self.t[m, a] == 1, w[m])}
            name = f"{self.spec.findings[a]} against {self.spec.findings[b]}"
            found[name] = {"cases": int(apart.sum()), **self.intervals(measure)}
        return found

    def intervals(self, measures: dict[str, Measure]) -> dict[str, Any]:
        """Each measure on all cases, with the 2.5th and 97.5th percentile over draws of whole patients."""
        names, patient = np.unique([case.row.patient for case in self.cases], return_inverse=True)
        rng = np.random.default_rng(self.seed)
        everyone = np.ones(len(self.cases))
        values = {name: measure(everyone) for name, measure in measures.items()}
        drawn: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(self.draws if measures else 0):
            weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)))[patient].astype(float)
            for name, measure in measures.items():
                drawn[name].append(measure(weights))
        return {name: {"value": _plain(value), **_bounds(drawn[name])} for name, value in values.items()}


def _bounds(drawn: list[float]) -> dict[str, float | None]:
    known = np.array([value for value in drawn if not np.isnan(value)])
    if not len(known):
        return {"low": None, "high": None}
    low, high = np.percentile(known, (2.5, 97.5))
    return {"low": float(low), "high": float(high)}


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else value


def write_predictions(path: Path, spec: ModelSpec, cases: Sequence[Case]) -> None:
    """One line a case, with the manifest's image, patient and source beside what the model said."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        head = ["image", "patient", "source", "finding", "reported", "withheld", "uncertainty"]
        table.writerow(head + [f"p_{finding}" for finding in spec.findings])
        for case in cases:
            said = case.prediction
            facts = [case.row.image, case.row.patient, case.row.source, "|".join(case.row.findings or ())]
            facts += [said.finding or "", int(said.withheld), f"{said.uncertainty:.6f}"]
            table.writerow(facts + [f"{said.probabilities[f]:.6f}" for f in spec.findings])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="the artifact to evaluate")
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="CSV", help="pictures with their findings"
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
        "--predictions", type=Path, metavar="CSV", help="also write every case's probabilities"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--precision", choices=("fp32", "auto"), default="fp32", help="default: fp32")
    parser.add_argument("--json", action="store_true", help="print the whole report as one JSON object")


def run(args: argparse.Namespace) -> int:
    import torch

    from classifier.data import read_manifest, with_split
    from classifier.predictor import Predictor
    from classifier.weights import ArtifactError, load_artifact

    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        artifact, rows = load_artifact(args.model), read_manifest(args.manifest)
    except (ValueError, OSError, ArtifactError) as error:
        print(f"evaluation failed: {error}", file=sys.stderr)
        return 1
    if args.part != "all":
        rows = [row for row in with_split(rows, seed=args.seed) if row.split == args.part]
    cases, without = predict_rows(Predictor(artifact, device, args.precision), rows, quiet=args.json)
    found = report(artifact.spec, cases, draws=args.draws, seed=args.seed)
    found |= {"model": artifact.spec.name, "model_sha256": artifact.sha256, "without_answer": without}
    if args.predictions:
        write_predictions(args.predictions, artifact.spec, cases)
    print(json.dumps(found) if args.json else summary(found))
    return 0


def summary(found: dict[str, Any]) -> str:
    """A few lines for people."""
    lines = [f"{found['model']}: {found['cases']} pictures of {found['patients']} patients"]
    lines += [f"{name:20} {as_text(value)}" for name, value in found["overall"].items()]
    for finding, values in found["findings"].items():
        chosen = (f"{key} {as_text(values[key])}" for key in ("auc", "sensitivity", "specificity"))
        lines.append(f"{finding:20} " + ", ".join(chosen))
    for source, values in found["sources"].items():
        for pair, measure in values["pairs"].items():
            lines.append(f"within {source}: {pair}: AUC {as_text(measure['auc'])} ({measure['cases']} cases)")
    return "\n".join(lines)


def as_text(measure: dict[str, float | None]) -> str:
    """A measure with its interval, as `0.812 (0.779 to 0.845)`."""
    if measure["value"] is None:
        return "not defined"
    if measure["low"] is None:
        return f"{measure['value']:.3f}"
    return f"{measure['value']:.3f} ({measure['low']:.3f} to {measure['high']:.3f})"
