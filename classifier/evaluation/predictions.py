"""Images of a manifest with what a model said of them: predicted, written to a CSV, read back."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classifier.contract import AbstentionReason, ModelSpec, Prediction, RefusalReason, predict_from

if TYPE_CHECKING:
    from classifier.data.manifest import Row
    from classifier.inference.predictor import Predictor

CHUNK = 32
HEAD = ["image", "finding", "status", "reason"]


@dataclass(frozen=True)
class Case:
    """One image that got an answer."""

    row: Row
    prediction: Prediction
    grids: Mapping[str, list[list[float]]] = field(default_factory=dict)


def predict_rows(
    predictor: Predictor, rows: Sequence[Row], *, quiet: bool = False
) -> tuple[list[Case], dict[str, str]]:
    """Answers for the rows' images, and the images without one, with their reasons."""
    from tqdm import tqdm

    from classifier.data.manifest import image_of
    from classifier.errors import Refused
    from classifier.inference.predictor import Failure, Input

    cases: list[Case] = []
    without: dict[str, str] = {}
    with tqdm(total=len(rows), desc="predicting", unit="img", disable=True if quiet else None) as bar:
        for start in range(0, len(rows), CHUNK):
            chunk, items = [], []
            for row in rows[start : start + CHUNK]:
                try:
                    decoded = image_of(row, predictor.spec.slot)
                except Refused as refusal:
                    without[row.image] = str(refusal.reason)
                else:
                    chunk.append(row)
                    items.append(Input(decoded.working, decoded.display.shape, row.age))
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


def write_predictions(
    path: Path,
    spec: ModelSpec,
    rows: Sequence[Row],
    cases: Sequence[Case],
    without: Mapping[str, str] | None = None,
) -> None:
    """`image,finding,status,reason,p_<finding>...`, a line for every row; `finding` is the manifest's.

    `status` is ok, abstained (the probabilities are withheld from readers), refused, or failed; the last two
    have no probabilities.
    """
    answers = {case.row.image: case.prediction for case in cases}
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEAD + [f"p_{finding}" for finding in spec.findings])
        for row in rows:
            said = answers.get(row.image)
            if said is None:
                reason = (without or {}).get(row.image, "")
                status = "refused" if reason in set(RefusalReason) else "failed"
                values = [""] * len(spec.findings)
            else:
                status, reason = ("abstained", str(said.abstention)) if said.withheld else ("ok", "")
                values = [f"{said.probabilities[finding]:.6f}" for finding in spec.findings]
            table.writerow([row.image, "|".join(row.findings or ()), status, reason, *values])


def read_predictions(
    path: Path, spec: ModelSpec, rows: Mapping[str, Row]
) -> tuple[list[Case], dict[str, str]]:
    """What `write_predictions` wrote, with the manifest's rows by image; raises ValueError for strangers."""
    cases: list[Case] = []
    without: dict[str, str] = {}
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if table.fieldnames != HEAD + [f"p_{finding}" for finding in spec.findings]:
            raise ValueError(f"{path.name} holds no predictions of {', '.join(spec.findings)}")
        for line in table:
            row = rows.get(line["image"])
            if row is None:
                raise ValueError(f"{path.name}: {line['image']} is not in the manifest")
            if line["status"] in {"refused", "failed"}:
                without[row.image] = line["reason"]
                continue
            said = {finding: float(line[f"p_{finding}"]) for finding in spec.findings}
            cases.append(Case(row, _withheld_as(predict_from(spec, said, age=row.age), line["reason"])))
    return cases, without


def _withheld_as(prediction: Prediction, reason: str) -> Prediction:
    """The prediction with the abstention that was written: a gate's is not made again from probabilities."""
    return replace(prediction, abstention=AbstentionReason(reason) if reason else None)
