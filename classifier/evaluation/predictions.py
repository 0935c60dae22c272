"""Predictions for the images of a manifest, and their CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classifier.contract import ModelSpec, Prediction, predict_from
from classifier.reasons import AbstentionReason, RefusalReason

if TYPE_CHECKING:
    from classifier.data.manifest import Reader, Row
    from classifier.inference.predictor import Predictor
    from classifier.networks.preprocess import Box

CHUNK = 32
HEAD = ["image", "finding", "status", "reason"]


@dataclass(frozen=True)
class Case:
    """An image with its prediction and the maps of `box`, the part that the model saw (None: all)."""

    row: Row
    prediction: Prediction
    grids: Mapping[str, list[list[float]]] = field(default_factory=dict)
    box: Box | None = None


def predict_rows(
    predictor: Predictor, rows: Sequence[Row], *, read: Reader | None = None, quiet: bool = False
) -> tuple[list[Case], dict[str, str]]:
    """ModelPredictions for the rows' images, and the images without one, with their reasons."""
    from tqdm import tqdm

    from classifier.data.manifest import reader_for
    from classifier.errors import Refused
    from classifier.inference.predictor import Failure, Input

    read = read or reader_for(predictor.spec.slot)
    cases: list[Case] = []
    without: dict[str, str] = {}
    with tqdm(total=len(rows), desc="predicting", unit="img", disable=True if quiet else None) as bar:
        for start in range(0, len(rows), CHUNK):
            chunk, items = [], []
            for row in rows[start : start + CHUNK]:
                try:
                    working, shape = read(row)
                except Refused as refusal:
                    without[row.image] = str(refusal.reason)
                else:
                    chunk.append(row)
                    items.append(Input(working, shape, row.age))
            for row, result in zip(chunk, predictor.predict(items), strict=True):
                if isinstance(result, Failure):
                    without[row.image] = result.code
                else:
                    cases.append(Case(row, result.prediction, dict(result.cam.grids), result.box))
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
    """Write `image,finding,status,reason,p_<finding>...` for every row; `finding` is that of the manifest.

    `status` is ok, abstained (the result is withheld), refused or failed; the latter two have no
    probabilities.
    """
    predictions = {case.row.image: case.prediction for case in cases}
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEAD + [f"p_{finding}" for finding in spec.findings])
        for row in rows:
            prediction = predictions.get(row.image)
            if prediction is None:
                reason = (without or {}).get(row.image, "")
                status = "refused" if reason in set(RefusalReason) else "failed"
                values = [""] * len(spec.findings)
            else:
                status, reason = (
                    ("abstained", str(prediction.abstention)) if prediction.withheld else ("ok", "")
                )
                values = [f"{prediction.probabilities[finding]:.6f}" for finding in spec.findings]
            table.writerow([row.image, "|".join(row.findings or ()), status, reason, *values])


def read_predictions(
    path: Path, spec: ModelSpec, rows: Mapping[str, Row]
) -> tuple[list[Case], dict[str, str]]:
    """Read a file of `write_predictions`; `rows` are those of the manifest by image. Raises ValueError."""
    cases: list[Case] = []
    without: dict[str, str] = {}
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if table.fieldnames != HEAD + [f"p_{finding}" for finding in spec.findings]:
            raise ValueError(
                f"{path.name} does not have the columns of predictions for {', '.join(spec.findings)}"
            )
        for line in table:
            row = rows.get(line["image"])
            if row is None:
                raise ValueError(f"{path.name}: {line['image']} is not in the manifest")
            if line["status"] in {"refused", "failed"}:
                without[row.image] = line["reason"]
                continue
            probabilities = {finding: float(line[f"p_{finding}"]) for finding in spec.findings}
            prediction = predict_from(spec, probabilities, age=row.age)
            # The abstention of the input check cannot be derived from the probabilities again.
            abstention = AbstentionReason(line["reason"]) if line["reason"] else None
            cases.append(Case(row, replace(prediction, abstention=abstention)))
    return cases, without
