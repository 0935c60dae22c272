"""Export of trained weights as an artifact: all of its numbers are measured on the weights as stored."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from classifier.artifact.header import INPUT_CHECK, OTHER_ABNORMALITY, WARNING_LIMITS
from classifier.artifact.pretrained import training_set_in
from classifier.artifact.training_set import TrainingSet
from classifier.artifact.weights import load_artifact, save_artifact, verify_golden
from classifier.contract import ModelSpec, normalised_entropy
from classifier.data.image_cache import file_sha256
from classifier.data.manifest import Row, targets_of
from classifier.data.split import PARTS
from classifier.evaluation import calibrate, model_card
from classifier.evaluation.evaluate import attention_tests
from classifier.evaluation.figures import draw
from classifier.evaluation.localisation import localisation, locate, write_locations
from classifier.evaluation.operating.prediction_sets import COVERAGE, fit_floors
from classifier.evaluation.operating.thresholds import fit_operating_points
from classifier.evaluation.predictions import Case, predict_rows, probabilities_of_cases, write_predictions
from classifier.evaluation.report import report
from classifier.inference.device import device_for
from classifier.inference.predictor import Predictor
from classifier.training.config import Config
from classifier.training.cross_validation import ARTIFACT, FIGURES, LOCATIONS, PREDICTIONS, REPORT
from classifier.training.dataset import DataSet, split_fingerprint
from classifier.training.other_abnormality.fit import Fitted, fit
from classifier.training.other_abnormality.gather import gather
from classifier.training.run_log import RunLog
from classifier.training.tune import searched
from classifier.training.warnings.fit import Fitted as FittedWarnings
from classifier.training.warnings.fit import fit as fit_warnings

CARD = "model-card.md"
NOT_RECORDED = {  # options that do not affect the weights
    *("manifest", "out", "cache", "pretrained", "auxiliary", "about", "resume", "json", "device", "threads"),
    *("shortcuts", "road", "validation", "boxes", "teacher", "other_abnormality"),
}


class AuxiliaryNetworks(NamedTuple):
    """Input check and lung segmenter of an earlier model, and the parts of its card on them."""

    parts: Mapping[str, Any] = {}
    card: Mapping[str, Any] = {}


def auxiliary_networks(path: Path | None) -> AuxiliaryNetworks:
    """What the new model takes over unchanged; raises ArtifactError or OSError if `path` cannot be used."""
    if path is None:
        return AuxiliaryNetworks()
    earlier = load_artifact(path)
    card = {key: earlier.card[key] for key in (INPUT_CHECK, "segmenter") if key in earlier.card}
    return AuxiliaryNetworks({"input_check": earlier.input_check, "segmenter": earlier.segmenter}, card)


def export_model(
    config: Config,
    spec: ModelSpec,
    state: Mapping[str, Tensor],
    *,
    data: DataSet,
    log: RunLog,
    about: Mapping[str, Any],
    auxiliary: AuxiliaryNetworks,
) -> Path:
    """Store, load back, calibrate on validation, evaluate on test, store with the card; returns its path."""
    state = {name: tensor.detach().cpu() for name, tensor in state.items()}
    parts = {"classifier_state": state, "storage": config.storage, **auxiliary.parts}
    draft = config.out / f"draft-{ARTIFACT}"
    spec = replace(spec, provenance=provenance(config, data.rows))
    save_artifact(draft, spec=spec, card={}, **parts)
    cases, _ = predictions_of(draft, config, data, "val")
    options = {"method": config.calibration, "by": config.threshold_by, "rate": config.false_alarms}
    spec, calibration = calibrated(spec, cases, **options)
    log.note("calibrated", **calibration)
    save_artifact(draft, spec=spec, card={}, **parts)
    card = dict(auxiliary.card)
    if config.other_abnormality:
        other = other_abnormality(draft, config, data, config.other_abnormality)
        spec = replace(spec, other_abnormality=other.limit)
        parts, card[OTHER_ABNORMALITY] = parts | {OTHER_ABNORMALITY: other.score.state()}, other.report
        save_artifact(draft, spec=spec, card={}, **parts)
    warned = warning_limits(draft, config, data)
    spec = replace(spec, warning_limits=warned.limits)
    parts, card[WARNING_LIMITS] = parts | {WARNING_LIMITS: warned.measures.state()}, warned.report
    save_artifact(draft, spec=spec, card={}, **parts)
    found = evaluated(draft, config, data)
    draft.unlink()
    measured = {"training": training_facts(config, log), "calibration": calibration, "found": found}
    facts = model_card.build(spec, rows=data.rows, about=about, **measured)
    facts |= {"audit": data.warnings, **card}
    path, used, golden = config.out / ARTIFACT, training_set_of(config, data), smooth_noise(2, spec.size)
    sha256 = save_artifact(path, spec=spec, card=facts, golden=golden, training_set=used, **parts)
    verify_golden(load_artifact(path, expected_sha256=sha256))
    (config.out / CARD).write_text(model_card.render(facts, spec))
    log.note("evaluated", sha256=sha256, overall=found["overall"])
    return path


def other_abnormality(artifact: Path, config: Config, data: DataSet, manifest: Path) -> Fitted:
    """The score of other abnormalities, fitted on the train and validation parts and on `manifest`."""
    options = {"seed": config.seed, "device": device_for(config.device), "quiet": config.json}
    cache = config.cache or config.out / "cache"
    cases = gather(load_artifact(artifact), data.rows, manifest, cache, **options)
    return fit(cases, seed=config.seed)


def warning_limits(artifact: Path, config: Config, data: DataSet) -> FittedWarnings:
    """The measures and limits of warnings, fitted on the train and validation parts."""
    return fit_warnings(
        load_artifact(artifact),
        data.rows,
        config.cache or config.out / "cache",
        device=device_for(config.device),
        seed=config.seed,
        quiet=config.json,
    )


def evaluated(artifact: Path, config: Config, data: DataSet) -> dict[str, Any]:
    """The report on the test part; writes it, the predictions and the figures."""
    model = load_artifact(artifact)
    test = [row for row in data.parts["test"].rows if row.findings]
    cases, without = predictions_of(artifact, config, data, "test")
    found = report(model.spec, cases, seed=config.seed, without=len(without))
    options = {"shortcuts": config.shortcuts, "road": config.road, "seed": config.seed}
    options |= {"read": data.prepared.read, "progress": not config.json}
    if data.boxes:
        locations = locate(cases, data.boxes)
        found["localisation"] = localisation(locations, {row.image: row for row in test}, seed=config.seed)
        write_locations(config.out / LOCATIONS, locations)
    found |= attention_tests(model, test, device_for(config.device), **options)
    write_predictions(config.out / PREDICTIONS, model.spec, test, cases, without)
    (config.out / REPORT).write_text(json.dumps(found, indent=1))
    draw(found, config.out / FIGURES)
    return found


def training_set_of(config: Config, data: DataSet) -> TrainingSet:
    """What the artifact records of the images and patients of the train and validation parts."""
    sha256 = data.prepared.by_image
    parts = ((part, data.parts[part].rows) for part in ("train", "val"))
    used = {part: [(sha256[row.image], row.patient) for row in rows] for part, rows in parts}
    return TrainingSet.of(used, base=training_set_in(config.pretrained))


def read_about(path: Path | None) -> dict[str, Any]:
    """The statements for the card; raises ValueError unless they are as in `model_card.ABOUT`."""
    return model_card.check_about(json.loads(path.read_text())) if path else {}


def predictions_of(
    artifact: Path, config: Config, data: DataSet, part: str
) -> tuple[list[Case], dict[str, str]]:
    """The stored weights' predictions of a part's rows with a known finding, and the images without one."""
    known = [row for row in data.parts[part].rows if row.findings]
    predictor = Predictor(load_artifact(artifact), device_for(config.device))
    return predict_rows(predictor, known, read=data.prepared.read, quiet=config.json)


def calibrated(
    spec: ModelSpec,
    cases: Sequence[Case],
    *,
    method: str = "bias",
    by: str = "false_alarms",
    rate: float = 0.1,
) -> tuple[ModelSpec, dict[str, Any]]:
    """The spec with calibration, thresholds and map scale fitted on these cases, and what they gave."""
    raw = probabilities_of_cases(cases, spec)
    targets = targets_of([case.row for case in cases], spec.findings)
    temperature, bias = calibrate.fit_calibration(raw, targets, spec.activation, method=method)
    fitted = calibrate.recalibrated(raw, temperature, bias, spec.activation)
    origins = [case.row.source for case in cases]
    thresholds, curves = fit_operating_points(fitted, targets, spec.findings, origins, rate=rate, by=by)
    shown = [spec.findings[k] for k in fitted.argmax(axis=1)]
    cam_scale = calibrate.fit_cam_scale([case.grids for case in cases], shown)
    spec = replace(
        spec,
        temperature=temperature,
        bias=dict(zip(spec.findings, bias.tolist(), strict=True)) if bias.any() else {},
        thresholds={finding: chosen["threshold"] for finding, chosen in thresholds.items()},
        decision="abnormal_first" if by == "false_alarms" else "highest",
        operating_curve=curves,
        **prediction_sets(spec, fitted, targets),
        cam_scale=cam_scale,
    )
    low = low_confidence(spec, fitted, targets)
    spec = replace(spec, low_confidence=low["limit"] if low else None)
    facts = {"temperature": temperature, "bias": dict(spec.bias), "thresholds": thresholds}
    facts["threshold_by"] = {"method": by, "rate": rate} if by == "false_alarms" else {"method": by}
    return spec, {**facts, "low_confidence": low, "cam_scale": cam_scale, "cases": len(cases)}


def prediction_sets(spec: ModelSpec, probabilities: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """`set_coverage` and `set_floors` from calibrated probabilities; nothing with sigmoid outputs."""
    if spec.activation != "softmax":
        return {}
    return {"set_coverage": COVERAGE, "set_floors": fit_floors(probabilities, targets, spec.findings)}


def low_confidence(
    spec: ModelSpec, probabilities: np.ndarray, targets: np.ndarray
) -> dict[str, float] | None:
    """`fit_low_confidence` on calibrated probabilities (N, findings); None with sigmoid outputs.

    There several findings can be true at once, and none: no single one is right or wrong.
    """
    if spec.activation != "softmax":
        return None
    named = [dict(zip(spec.findings, row, strict=True)) for row in probabilities.tolist()]
    uncertainty = np.array([normalised_entropy(spec, probability) for probability in named])
    right = targets[np.arange(len(targets)), probabilities.argmax(axis=1)] == 1
    return calibrate.fit_low_confidence(uncertainty, right)


def provenance(config: Config, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "manifest_sha256": file_sha256(config.manifest),
        "seed": config.seed,
        "split_sha256": split_fingerprint(rows),
        "parts": {part: sum(row.split == part for row in rows) for part in PARTS},
    }


def training_facts(config: Config, log: RunLog) -> dict[str, Any]:
    """Options that affect the result, the epochs' scores, and versions; no paths."""
    given = {key: value for key, value in asdict(config).items() if value is not None}
    options = {key: value for key, value in given.items() if key not in NOT_RECORDED}
    keys = ("epoch", "size", "minutes", "val_loss", "val_balanced_accuracy")
    search = {"search": searched(log)} if config.tune else {}
    return {
        "options": options,
        "pretrained": config.pretrained is not None,
        "history": [{key: line[key] for key in keys} for line in log.events("epoch")],
        "torch": torch.__version__,
        "python": platform.python_version(),
        **search,
    }


def smooth_noise(count: int, size: int) -> np.ndarray:
    """Working images (count, size, size) uint16 for golden inputs: blurred noise, no patient's image."""
    noise = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False)
    return (smooth[:, 0].clamp(0, 1) * 65535).round().numpy().astype(np.uint16)
