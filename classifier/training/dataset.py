"""A training data set: the manifest's rows with their split, validated, and their images prepared."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from classifier.contract import ModelSpec, Slot
from classifier.data.boxes import Boxes, read_boxes
from classifier.data.image_cache import Prepared, prepare, preprocessing_for
from classifier.data.manifest import Row, read_manifest, targets_of, with_folds, with_split
from classifier.data.split import PARTS
from classifier.data.validation.checks import as_text, validate
from classifier.inference.auxiliary import lung_boxes
from classifier.networks.registry import ARCHITECTURES
from classifier.training.config import Config
from classifier.training.distributed import Distributed
from classifier.training.evidence import lung_fields, regions_of
from classifier.training.run_log import RunLog

LUNG_WINDOW = (-1350.0, 150.0)  # Hounsfield units
EVALUATED = ("val", "test")
LARGEST = {"source_weight": 100.0, "label_noise": 1.0}


@dataclass(frozen=True)
class Part:
    """One part of the split: rows, targets (n, findings), their `index` in `images` (N, size, size).

    `regions` are those of `evidence.regions_of`, of the train part where there is a loss on them.
    """

    rows: list[Row]
    images: np.ndarray
    targets: np.ndarray
    index: np.ndarray
    regions: np.ndarray | None = None


@dataclass(frozen=True)
class DataSet:
    """Rows whose images can be used, the parts of the split, warnings of the validation, readers' boxes."""

    rows: list[Row]
    parts: dict[str, Part]
    prepared: Prepared
    warnings: list[dict[str, Any]]
    boxes: Boxes


def load_data_set(
    config: Config,
    spec: ModelSpec,
    rows: list[Row],
    *,
    segmenter: Any,
    processes: Distributed,
    log: RunLog,
    checks: bool = True,
) -> DataSet:
    """Hash, decode and, with `checks`, validate the rows' images, each once.

    Raises ValueError if a part lacks a finding.
    """
    preprocessing = preprocessing_for(spec, **lung_boxes(spec, segmenter))
    cache, boxes = config.cache or config.out / "cache", boxes_of(config, rows)
    fields = lung_fields(cache, spec, segmenter, rows, boxes) if config.box_loss else None
    with processes.main_process_first():
        prepared = prepare(
            rows,
            preprocessing,
            cache,
            slot=spec.slot,
            statistics=checks and config.validation is None,
            keep=PARTS if config.folds else EVALUATED,
            others=[fields] if fields else [],
            progress=processes.is_main and not config.json,
        )
        if fields:
            fields.save()
    warnings = _validated(config, rows, prepared, log) if checks and processes.is_main else []
    parts = {name: _part(name, rows, prepared, spec) for name in PARTS}
    if config.box_loss:
        regions = regions_of(parts["train"].rows, boxes, fields, prepared.by_image)
        parts["train"] = replace(parts["train"], regions=regions)
    log.note("data", refused=prepared.refused, **{name: len(part.rows) for name, part in parts.items()})
    usable = [row for row in rows if row.image not in prepared.refused]
    return DataSet(usable, parts, prepared, warnings, boxes)


def boxes_of(config: Config, rows: list[Row]) -> Boxes:
    """The readers' boxes of the rows; raises ValueError for a loss without them, or a bad file."""
    if config.boxes:
        return read_boxes(config.boxes, [row.image for row in rows])
    if config.box_loss:
        raise ValueError(f"--box-loss {config.box_loss:g} requires --boxes, the boxes that readers drew")
    return {}


def _validated(config: Config, rows: list[Row], prepared: Prepared, log: RunLog) -> list[dict[str, Any]]:
    """The warnings of the data validation, or those of an earlier one of this data set."""
    if config.validation:
        earlier = json.loads(config.validation.read_text())
        if earlier["images"] != len(rows):
            raise ValueError(
                f"{config.validation.name} is of {earlier['images']} images, the manifest has {len(rows)}: "
                "run `validate --json` on this manifest"
            )
        # Examples name images; the model card must not.
        warnings = [{k: v for k, v in one.items() if k != "examples"} for one in earlier["warnings"]]
    else:
        found = validate(rows, prepared.statistics)
        warnings = [warning.as_dict() for warning in found]
        if not config.json:
            print(as_text(found), file=sys.stderr)
    log.note("validation", warnings=warnings)
    return warnings


def rows_of(config: Config, log: RunLog | None = None) -> list[Row]:
    """The manifest's rows with their parts: of its own split, of the seed's, or of one fold."""
    if config.fold and not config.folds:
        raise ValueError(f"--fold {config.fold} requires --folds, the number of folds")
    rows = read_manifest(config.manifest, where=config.where)
    if config.folds:
        rows = with_folds(rows, count=config.folds, fold=config.fold, by=config.fold_by, seed=config.seed)
    else:
        rows = with_split(rows, seed=config.seed)
    for name in ("source_weight", "label_noise"):
        _check_by_source(name, getattr(config, name), rows)
    if log:
        log.note("split", sha256=split_fingerprint(rows))
    return rows


def by_source(texts: Sequence[str]) -> dict[str, float]:
    """`nih=0.2` and the like as numbers by source; raises ValueError for another text."""
    pairs = (text.rpartition("=") for text in texts)
    return {source.strip(): float(value) for source, _, value in pairs}


def _check_by_source(name: str, texts: Sequence[str], rows: list[Row]) -> None:
    sources = {row.source for row in rows}
    for text in texts:
        try:
            ((source, value),) = by_source([text]).items()
            usable = source in sources and 0 <= value <= LARGEST[name]
        except ValueError:
            usable = False
        if not usable:
            raise ValueError(
                f"--{name.replace('_', '-')} {text!r} is not SOURCE=NUMBER with a number from 0 to "
                f"{LARGEST[name]:g} and one of the sources {', '.join(sorted(sources))}"
            )


def split_fingerprint(rows: list[Row]) -> str:
    """sha256 of which image is in which part, whatever the order."""
    lines = sorted(f"{row.image},{row.split or ''}\n" for row in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def spec_for(config: Config, rows: list[Row]) -> ModelSpec:
    """The new model; its findings are those of the manifest, unless the configuration names them."""
    found = sorted({name for row in rows for name in row.findings or ()})
    several = next((row for row in rows if len(row.findings or ()) > 1), None)
    if several and config.activation == "softmax":
        raise ValueError(f"{several.image} has several findings: use --activation sigmoid")
    if config.activation == "softmax":
        _check_soft_targets(rows)
    architecture = ARCHITECTURES[config.arch]
    same = ("name", "arch", "layers", "width", "activation", "size", "crop")
    return ModelSpec(
        **{name: getattr(config, name) for name in same},
        mean=architecture.mean,
        std=architecture.std,
        slot=Slot(config.slot),
        findings=config.findings or tuple(found),
        hounsfield=(config.hounsfield or LUNG_WINDOW) if config.slot == Slot.CT else None,
    )


def _check_soft_targets(rows: list[Row]) -> None:
    for row in rows:
        total = sum((row.soft or {"": 1.0}).values())
        if abs(total - 1) > 0.01:
            raise ValueError(
                f"{row.image}: the soft target sums to {total:g}, not 1: "
                "correct it, or use --activation sigmoid"
            )


def _part(name: str, rows: list[Row], prepared: Prepared, spec: ModelSpec) -> Part:
    """The usable rows of one part.

    The test part may lack a finding: a held-out patient or hospital does not have every one.
    """
    used = (i for i, row in enumerate(rows) if row.split == name and row.image not in prepared.refused)
    index = np.array(list(used), dtype=int)
    chosen = [rows[i] for i in index]
    targets = targets_of(chosen, spec.findings)
    for finding, present in zip(spec.findings, (targets == 1).sum(axis=0), strict=True):
        if not present and (name != "test" or not (targets == 1).any()):
            raise ValueError(
                f"the {name} part has no image with {finding!r}: add images of more patients with it"
            )
    if name == "train":
        targets = targets_of(chosen, spec.findings, soft=True)
    return Part(chosen, prepared.images, targets, index)
