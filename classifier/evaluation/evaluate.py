"""Evaluation of an artifact on a manifest; images are read and predicted by the code that serves uploads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.contract import finding_name
from classifier.evaluation.model_card import as_text, measure_name, pair_name
from classifier.evaluation.operating.headline import MEASURES
from classifier.evaluation.predictions import predict_rows, write_predictions
from classifier.evaluation.report import report

if TYPE_CHECKING:
    import numpy as np

    from classifier.artifact.weights import Artifact
    from classifier.data.manifest import Reader, Row


def evaluate(
    artifact: Artifact,
    rows: list[Row],
    *,
    device: str,
    precision: str = "fp32",
    draws: int = 1000,
    seed: int = 0,
    prevalence: Mapping[str, float] | None = None,
    shortcuts: int = 0,
    road: int = 0,
    predictions: Path | None = None,
    figures: Path | None = None,
    boxes: Path | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """The evaluation report; writes `predictions` (CSV) and `figures` (folder) where they are given.

    `shortcuts` and `road` are the numbers of images for these tests; with `boxes` (CSV) the maps are compared
    with them. Raises ValueError for a finding that
    the model does not know.
    """
    from classifier.data.boxes import read_boxes
    from classifier.data.manifest import targets_of
    from classifier.evaluation.localisation import localisation, locate
    from classifier.inference.predictor import Predictor

    spec = artifact.spec
    targets_of(rows, spec.findings)  # fails for an unknown finding before the long part
    drawn = read_boxes(boxes, [row.image for row in rows]) if boxes else None
    cases, without = predict_rows(Predictor(artifact, device, precision), rows, quiet=not progress)
    if predictions:
        write_predictions(predictions, spec, rows, cases, without)
    missing = sum(row.image in without for row in rows if row.findings)
    found = report(spec, cases, draws=draws, seed=seed, prevalence=prevalence, without=missing)
    options = {"draws": draws, "seed": seed, "progress": progress}
    found |= attention_tests(artifact, rows, device, shortcuts=shortcuts, road=road, **options)
    if drawn:
        by_image = {row.image: row for row in rows}
        found["localisation"] = localisation(locate(cases, drawn), by_image, draws=draws, seed=seed)
    found |= {"model": spec.name, "model_sha256": artifact.sha256, "no_result": without}
    if figures:
        from classifier.evaluation.figures import draw

        draw(found, figures)
    return found


def attention_tests(
    artifact: Artifact,
    rows: Sequence[Row],
    device: str,
    *,
    shortcuts: int,
    road: int,
    read: Reader | None = None,
    **options: Any,
) -> dict[str, Any]:
    """The shortcut test (needs a segmenter) and ROAD, each on that many of the rows; 0: skip."""
    import torch

    from classifier.data.manifest import reader_for
    from classifier.evaluation import faithfulness
    from classifier.evaluation.shortcuts import of_artifact
    from classifier.inference.auxiliary import AuxiliaryNetworks
    from classifier.networks.preprocess import cut

    found: dict[str, Any] = {}
    read = read or reader_for(artifact.spec.slot)
    if shortcuts and artifact.segmenter:
        whole = lambda row: read(row)[0]  # noqa: E731
        found["shortcuts"] = of_artifact(artifact, rows, device, cases=shortcuts, working=whole, **options)
    if road:
        network, auxiliary = artifact.network.to(device), AuxiliaryNetworks(artifact, torch.device(device))

        def working(row: Row) -> np.ndarray:
            whole, _ = read(row)
            return cut(whole, auxiliary.run([whole])[0].box)

        found["road"] = faithfulness.road(network, artifact.spec, rows, road, working=working, **options)
    return found


def summary(found: Mapping[str, Any]) -> str:
    """The report as lines of text."""
    lines = [f"{found['model']}: {found['cases']} images of {found['patients']} patients"]
    lines += [f"{name:20} {as_text(value)}" for name, value in found["overall"].items()]
    for finding, values in found["findings"].items():
        chosen = (f"{key} {as_text(values[key])}" for key in ("auc", "sensitivity", "specificity"))
        lines.append(f"{finding_name(finding):20} " + ", ".join(chosen))
    accepted = found["not_withheld"]
    if accepted["coverage"] < 1:
        lines.append(f"coverage             {accepted['coverage']:.3f}")
    lines += [f"  of these {name:11} {as_text(v)}" for name, v in accepted.get("overall", {}).items()]
    for view in ("whole", "lungs_hidden", "lungs_only") if "whole" in found.get("shortcuts", {}) else ():
        auc = found["shortcuts"][view]["auc"]["macro_auc"]
        lines.append(f"{view.replace('_', ' '):20} macro AUC {as_text(auc)}")
    lines += [_origin_line(row) for row in found["origins"]]
    for finding, values in found["across_origins"].items():
        worst = [
            f"{measure_name(m)} {values[m]['value']:.3f} ({values[m]['origin']})"
            for m in MEASURES
            if values[m]
        ]
        lines.append(f"Worst origin of {values['origins']}: {finding_name(finding)}: " + ", ".join(worst))
    if sets := found["prediction_sets"]:
        groups = {"Prediction sets": sets["overall"], **sets["origins"]}
        for name, v in groups.items():
            size = f"{v['mean_size']['value']:.2f} findings in a set"
            lines.append(f"{name}: coverage {as_text(v['coverage'])}, stated {sets['stated']:g}, {size}")
    lines += _localisation_lines(found.get("localisation", {}).get("findings", {}))
    for source, values in found["sources"].items():
        for pair, measure in values["pairs"].items():
            lines.append(
                f"{source}: {pair_name(pair)}: AUC {as_text(measure['auc'])} ({measure['cases']} images)"
            )
    return "\n".join(lines)


def _origin_line(row: Mapping[str, Any]) -> str:
    measures = (f"{measure_name(measure)} {as_text(row[measure])}" for measure in MEASURES if row[measure])
    return f"{row['origin']}: {finding_name(row['finding'])} vs. normal: " + ", ".join(measures)


def _localisation_lines(findings: Mapping[str, Any]) -> list[str]:
    return [
        f"{finding_name(finding)}: map maximum in a box {as_text(values['pointing_game'])}, "
        f"share of the map in boxes {as_text(values.get('share_in_boxes'))} "
        f"({values['maps']} images, chance {values['chance']:.3f})"
        for finding, values in findings.items()
        if "pointing_game" in values
    ]
