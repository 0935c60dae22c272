"""From trained weights to an artifact: every number in it is measured on the weights as they are stored."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from classifier.artifact.pretrained import training_set_in
from classifier.artifact.training_set import TrainingSet
from classifier.artifact.weights import load_artifact, save_artifact, verify_golden
from classifier.contract import ModelSpec, normalised_entropy
from classifier.data.manifest import Row, targets_of
from classifier.data.split import fingerprint
from classifier.evaluation import model_card
from classifier.evaluation.calibrate import (
    fit_calibration,
    fit_cam_scale,
    fit_low_confidence,
    fit_thresholds,
    recalibrated,
)
from classifier.evaluation.evaluate import attention_tests
from classifier.evaluation.figures import draw
from classifier.evaluation.predictions import Case, predict_rows, probabilities_of_cases, write_predictions
from classifier.evaluation.report import report
from classifier.inference.predictor import Predictor

if TYPE_CHECKING:
    from classifier.training.loop import Config, Log

ARTIFACT, REPORT, PREDICTIONS = "model.safetensors", "evaluation.json", "predictions.csv"
CARD, FIGURES = "model-card.md", "figures"
ASIDE = {  # options that shape no weight
    *("manifest", "out", "cache", "pretrained", "companions", "about", "resume", "json", "device", "threads"),
    *("shortcuts", "road"),
}


def finish(
    config: Config,
    spec: ModelSpec,
    state: Mapping[str, Tensor],
    *,
    rows: Sequence[Row],
    log: Log,
    about: Mapping[str, Any] | None = None,
    warnings: Sequence[Mapping[str, Any]] = (),
    carried: Carried | None = None,
    hashes: Mapping[str, str] | None = None,
) -> Path:
    """Store, load back, calibrate on validation, evaluate on test, store with the card; returns its path."""
    state = {name: tensor.detach().cpu() for name, tensor in state.items()}
    parts = {"classifier_state": state, "storage": config.storage, **(carried.parts if carried else {})}
    draft = config.out / f"draft-{ARTIFACT}"
    spec = replace(spec, provenance=provenance(config, rows))
    save_artifact(draft, spec=spec, card={}, **parts)
    cases, _ = answers(draft, config, [row for row in rows if row.split == "val"])
    spec, calibration = calibrated(spec, cases, method=config.calibration)
    log.note("calibrated", **calibration)
    save_artifact(draft, spec=spec, card={}, **parts)
    test = [row for row in rows if row.split == "test" and row.findings]
    cases, without = answers(draft, config, test)
    found = report(spec, cases, seed=config.seed, without=len(without))
    wanted = {"shortcuts": config.shortcuts, "road": config.road, "seed": config.seed}
    found |= attention_tests(
        load_artifact(draft), test, device_of(config), progress=not config.json, **wanted
    )
    draft.unlink()
    write_predictions(config.out / PREDICTIONS, spec, test, cases, without)
    (config.out / REPORT).write_text(json.dumps(found, indent=1))
    draw(found, config.out / FIGURES)
    about = read_about(config.about) if about is None else about
    training = training_facts(config, log)
    facts = model_card.build(
        spec, rows=rows, training=training, calibration=calibration, found=found, about=about
    )
    facts |= {"audit": list(warnings), **(carried.card if carried else {})}
    path = config.out / ARTIFACT
    used = training_set_of(config, rows, hashes or {})
    golden = smooth_noise(2, spec.size)
    sha256 = save_artifact(path, spec=spec, card=facts, golden=golden, training_set=used, **parts)
    verify_golden(load_artifact(path, expected_sha256=sha256))
    (config.out / CARD).write_text(model_card.render(facts, spec))
    log.note("evaluated", sha256=sha256, overall=found["overall"])
    return path


def training_set_of(config: Config, rows: Sequence[Row], hashes: Mapping[str, str]) -> TrainingSet:
    """What the artifact records of its images (`hashes`: sha256 of each file, by image) and patients."""
    used = {
        part: [(hashes[row.image], row.patient) for row in rows if row.split == part and row.image in hashes]
        for part in ("train", "val")
    }
    return TrainingSet.of(used, base=training_set_in(config.pretrained))


@dataclass(frozen=True)
class Carried:
    """Gate and segmenter of an earlier model, and what its card says of them."""

    parts: Mapping[str, Any]
    card: Mapping[str, Any]


def companions(config: Config) -> Carried:
    """What the new model takes over; raises ArtifactError, OSError where it is to and cannot."""
    if config.companions is None:
        return Carried({}, {})
    earlier = load_artifact(config.companions)
    told = {key: earlier.card[key] for key in ("gate", "segmenter") if key in earlier.card}
    return Carried({"gate": earlier.gate, "segmenter": earlier.segmenter}, told)


def read_about(path: Path | None) -> dict[str, Any]:
    """The statements for the card; raises ValueError when they are not what `card.ABOUT` says."""
    return model_card.check_about(json.loads(path.read_text())) if path else {}


def answers(artifact: Path, config: Config, rows: Sequence[Row]) -> tuple[list[Case], dict[str, str]]:
    """What the stored weights say of the rows with a known finding, and the images without an answer."""
    known = [row for row in rows if row.findings]
    return predict_rows(Predictor(load_artifact(artifact), device_of(config)), known, quiet=config.json)


def device_of(config: Config) -> str:
    return "cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu"


def calibrated(
    spec: ModelSpec, cases: Sequence[Case], *, method: str = "bias"
) -> tuple[ModelSpec, dict[str, Any]]:
    """The spec with calibration, thresholds and map scale fitted on these cases, and what they gave."""
    raw = probabilities_of_cases(cases, spec)
    targets = targets_of([case.row for case in cases], spec.findings)
    temperature, bias = fit_calibration(raw, targets, spec.activation, method=method)
    fitted = recalibrated(raw, temperature, bias, spec.activation)
    thresholds = fit_thresholds(fitted, targets, spec.findings)
    shown = [spec.findings[k] for k in fitted.argmax(axis=1)]
    cam_scale = fit_cam_scale([case.grids for case in cases], shown)
    spec = replace(
        spec,
        temperature=temperature,
        bias=dict(zip(spec.findings, bias.tolist(), strict=True)) if bias.any() else {},
        thresholds={finding: chosen["threshold"] for finding, chosen in thresholds.items()},
        cam_scale=cam_scale,
    )
    low = low_confidence(spec, fitted, targets)
    spec = replace(spec, low_confidence=low["limit"] if low else None)
    facts = {"temperature": temperature, "bias": dict(spec.bias), "thresholds": thresholds}
    return spec, {**facts, "low_confidence": low, "cam_scale": cam_scale, "cases": len(cases)}


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
    return fit_low_confidence(uncertainty, right)


def provenance(config: Config, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "manifest_sha256": hashlib.sha256(config.manifest.read_bytes()).hexdigest(),
        "seed": config.seed,
        "split_sha256": fingerprint([row.image for row in rows], [row.split or "" for row in rows]),
        "parts": {part: sum(row.split == part for row in rows) for part in ("train", "val", "test")},
    }


def training_facts(config: Config, log: Log) -> dict[str, Any]:
    """Options that shape the result, the epochs' scores, and what it ran on; no paths."""
    options = {key: value for key, value in asdict(config).items() if key not in ASIDE and value is not None}
    epochs = [line for line in map(json.loads, log.path.read_text().splitlines()) if line["event"] == "epoch"]
    keys = ("epoch", "size", "minutes", "val_loss", "val_balanced_accuracy")
    return {
        "options": options,
        "pretrained": config.pretrained is not None,
        "history": [{key: line[key] for key in keys} for line in epochs],
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def smooth_noise(count: int, size: int) -> np.ndarray:
    """Working images (count, size, size) uint16 for golden inputs: blurred noise, no patient's image."""
    noise = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False)
    return (smooth[:, 0].clamp(0, 1) * 65535).round().numpy().astype(np.uint16)
