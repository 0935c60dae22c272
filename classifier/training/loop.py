"""Training: a manifest in, an artifact out. `python -m classifier train --manifest CSV --out DIR`.

One loop. `progress` runs from 0 to 1, by steps or, with --max-minutes, by the clock, and shapes learning rate
and image size alike; what is kept is the moving average of the weights.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn
from tqdm import tqdm

from classifier.artifact.pretrained import start_from
from classifier.artifact.weights import ArtifactError
from classifier.contract import ModelSpec, Slot
from classifier.data.augment import Augment
from classifier.data.image_cache import Images, unit_squares
from classifier.data.manifest import Row, draw_weights, read_manifest, targets_of, with_folds, with_split
from classifier.data.split import fingerprint
from classifier.data.validation.checks import as_text, audit
from classifier.data.validation.image_statistics import facts_of
from classifier.inference.auxiliary import lung_boxes
from classifier.networks.preprocess import normalise
from classifier.networks.registry import network_for, probabilities_of
from classifier.training import checkpoint
from classifier.training.config import Config, declare
from classifier.training.cross_validation import train_folds
from classifier.training.distributed import Engine, engine_for
from classifier.training.export import ARTIFACT, companions, finish, read_about
from classifier.training.loss import Objective, rarity_weights
from classifier.training.optim import follow, freeze, optimiser_for, quiet_residuals, rate_at, size_at

LUNG_WINDOW = (-1350.0, 150.0)  # Hounsfield units
CHECKPOINT = "checkpoint.safetensors"
NOTE_SECONDS = 30
SETTLING_BATCHES = 16


@dataclass
class Part:
    """Images of one part of the split: rows, uint8 squares (N, size, size) and targets (N, findings)."""

    rows: list[Row]
    squares: np.ndarray
    targets: np.ndarray
    index: np.ndarray


def train(config: Config) -> Path:
    """Train as configured; returns the artifact's path, or with folds that of the report on all of them.

    Raises ValueError for a manifest that will not do.
    """
    if config.folds and config.fold is None:
        return train_folds(config, train)
    config.out.mkdir(parents=True, exist_ok=True)
    if config.threads:
        torch.set_num_threads(config.threads)
    engine = engine_of(config)
    torch.manual_seed(config.seed)  # the first weights
    about, carried = read_about(config.about), companions(config)
    log = Log(config, silent=not engine.leads)
    rows = rows_of(config)
    log.note("split", sha256=fingerprint([row.image for row in rows], [row.split or "" for row in rows]))
    spec = spec_for(config, rows)
    cache = config.cache or config.out / "cache"
    with engine.leader_first():
        warnings = audited(config, rows, log)
        boxes = lung_boxes(spec, carried.parts.get("segmenter"))
        squares, refused = unit_squares(rows, spec, cache, progress=engine.leads, **boxes)
    parts = {name: part_of(name, rows, squares, refused, spec) for name in ("train", "val", "test")}
    log.note("data", refused=refused, **{name: len(part.rows) for name, part in parts.items()})
    run = Run(config, spec, parts, log, engine)
    if config.resume and (config.out / CHECKPOINT).exists():
        run.restore()
    run.fit()
    if not engine.leads:
        return config.out / ARTIFACT
    rows = [row for row in rows if row.image not in refused]
    facts = facts_of(rows, cache, progress=False)  # from the cache that the data validation has filled
    hashes = dict(zip((row.image for row in rows), facts.bytes.tolist(), strict=True))
    told = {"about": about, "carried": carried, "warnings": warnings, "hashes": hashes}
    return finish(config, spec, run.chosen_state(), rows=rows, log=log, **told)


def engine_of(config: Config) -> Engine:
    """One device or several; raises ValueError for options that several cannot follow together."""
    alone = [name for name in ("folds", "freeze", "group_robust") if getattr(config, name)]
    if config.devices > 1 and (alone or config.batch % config.devices):
        name = (alone or ["batch"])[0]
        option = f"--{name.replace('_', '-')} {getattr(config, name)}"
        raise ValueError(f"--devices {config.devices} does not go with {option}")
    return engine_for(config.device, config.devices)


def rows_of(config: Config) -> list[Row]:
    """The manifest's rows with their parts: of its own split, of the seed's, or of one fold."""
    if config.fold and not config.folds:
        raise ValueError("--fold says which one of --folds: give both")
    rows = read_manifest(config.manifest, where=config.where)
    if not config.folds:
        return with_split(rows, seed=config.seed)
    return with_folds(rows, count=config.folds, fold=config.fold, by=config.fold_by, seed=config.seed)


def audited(config: Config, rows: list[Row], log: Log) -> list[dict[str, Any]]:
    """What the data audit warns of, told before anything is learned."""
    found = audit(rows, cache=config.cache or config.out / "cache", progress=not config.json)
    warnings = [warning.as_dict() for warning in found]
    log.note("audit", warnings=warnings)
    if not config.json:
        print(as_text(found), file=sys.stderr)
    return warnings


class Run:
    """The state of one training and its loop."""

    def __init__(
        self, config: Config, spec: ModelSpec, parts: dict[str, Part], log: Log, engine: Engine
    ) -> None:
        self.config, self.spec, self.log, self.engine = config, spec, log, engine
        self.train, self.val = parts["train"], parts["val"]
        self.device = engine.device
        self.images, self.val_images = (
            Images(part.squares, part.index, self.device) for part in (self.train, self.val)
        )
        self.targets = torch.from_numpy(self.train.targets).to(self.device)
        bf16 = config.precision == "bf16" or (config.precision == "auto" and self.device.type == "cuda")
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)
        network = network_for(spec, dropout=config.dropout)
        if config.pretrained:
            log.note("pretrained", **start_from(network, spec, config.pretrained))
        else:
            quiet_residuals(network)
        self.network = network.to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = optimiser_for(
            self.network, lr=config.lr, weight_decay=config.weight_decay, name=config.optimiser
        )
        self.learner, self.optimiser = engine.join(self.network, self.optimiser)
        self.weights = draw_weights(
            self.train.rows, source_balance=config.source_balance, even=config.balance == "draw"
        )
        self.objective = objective_for(config, spec, self.train, self.device)
        self.steps_per_epoch = math.ceil((config.epoch_images or len(self.train.rows)) / config.batch)
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.best: dict[str, Tensor] | None = None
        self.best_loss, self.stale = math.inf, 0
        self.loss = 0.0  # mean of the last epoch

    @property
    def progress(self) -> float:
        """0 at the start to 1 at the end: the share of steps or, if that is more, of the time allowed."""
        by_step = self.step / (self.config.epochs * self.steps_per_epoch)
        by_time = self.seconds / (self.config.max_minutes * 60) if self.config.max_minutes else 0.0
        return max(by_step, by_time)

    @property
    def size(self) -> int:
        return size_at(self.progress, self.config.size) if self.config.progressive else self.config.size

    def fit(self) -> None:
        while self.progress < 1 and self.stale < self.config.patience:
            self.run_epoch()
            self.judge()
            self.save()

    def run_epoch(self) -> None:
        """One epoch of draws, or less when the time is up."""
        rng = np.random.default_rng((self.config.seed, self.epoch))
        seed = self.config.seed * 100_003 + self.epoch
        torch.manual_seed(seed)  # dropout: a resumed run draws what the whole one would have
        augment = Augment(seed=seed + self.engine.rank, flip=self.config.flip, device=self.device)
        drawn = rng.choice(len(self.weights), self.steps_per_epoch * self.config.batch, p=self.weights)
        noted, since, total, first = time.monotonic(), 0, torch.zeros((), device=self.device), self.step
        title = f"epoch {self.epoch + 1}"
        bar = tqdm(total=len(drawn), desc=title, unit="img", disable=self.log.bar_disabled)
        for start in range(0, len(drawn), self.config.batch):
            if self.progress >= 1:
                break
            began, chosen = time.monotonic(), drawn[start : start + self.config.batch]
            mine = self.engine.share(chosen)
            loss = self.learn(augment(self.images(mine)), mine)
            total = total + loss
            self.step += 1
            self.seconds = self.engine.told(self.seconds + time.monotonic() - began)[0]
            since += len(chosen)
            bar.update(len(chosen))
            if time.monotonic() - noted > NOTE_SECONDS:
                rate = since / (time.monotonic() - noted)
                self.log.note("progress", progress=self.progress, loss=loss.item(), images_per_second=rate)
                noted, since = time.monotonic(), 0
        bar.close()
        self.loss = (total / max(1, self.step - first)).item()
        self.epoch += 1

    def learn(self, unit: Tensor, chosen: np.ndarray) -> Tensor:
        """One step of the optimiser on augmented unit squares of the chosen rows; returns the loss."""
        size = self.size
        self.network.train()
        freeze(self.network, frozen=self.progress < self.config.freeze)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.lr * rate_at(self.progress, self.config.warmup)
        if size != unit.shape[-1]:
            unit = functional.interpolate(unit, size=(size, size), mode="bilinear", antialias=True)
        inputs = normalise(unit, self.spec).contiguous(memory_format=torch.channels_last)
        with self.autocast:
            logits = self.learner(inputs).float()
        rows = torch.from_numpy(chosen).to(self.device, non_blocking=True)
        loss = self.objective(logits, self.targets[rows], rows)
        self.optimiser.zero_grad(set_to_none=True)
        self.engine.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self.optimiser.step()
        follow(self.average, self.network, min(self.config.ema, (1 + self.step) / (10 + self.step)))
        return loss.detach()

    def judge(self) -> None:
        """Score the averaged weights on validation; keep them when they are the best at full size."""
        began = time.monotonic()
        size, loss, accuracy = self.size, 0.0, 0.0
        if self.engine.leads:
            if size == self.config.size:
                self.settle()
            loss, accuracy = self.validate(size)
        seconds = self.seconds + time.monotonic() - began
        self.seconds, loss, accuracy = self.engine.told(seconds, loss, accuracy)
        if size == self.config.size:
            self.stale += 1
            if loss < self.best_loss:
                self.best_loss, self.stale = loss, 0
                self.best = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}
        minutes = self.seconds / 60
        scores = {"size": size, "loss": self.loss, "val_loss": loss, "val_balanced_accuracy": accuracy}
        self.log.note("epoch", epoch=self.epoch, progress=self.progress, minutes=minutes, **scores)

    def settle(self) -> None:
        """Measure the norms' statistics anew: averaged weights have others (Izmailov et al. 2018)."""
        rng = np.random.default_rng((self.config.seed, self.epoch, 1))
        drawn = rng.choice(len(self.weights), (SETTLING_BATCHES, self.config.batch), p=self.weights)
        images = (normalise(self.images(chosen), self.spec) for chosen in drawn)
        update_bn(images, self.average)

    @torch.inference_mode()
    def validate(self, size: int) -> tuple[float, float]:
        """Log loss and recall, each the mean over the findings, so that rare ones count alike."""
        found = []
        for start in range(0, len(self.val.rows), self.config.batch):
            chosen = np.arange(start, min(start + self.config.batch, len(self.val.rows)))
            unit = self.val_images(chosen)
            unit = functional.interpolate(unit, size=(size, size), mode="bilinear", antialias=True)
            inputs = normalise(unit, self.spec).contiguous(memory_format=torch.channels_last)
            with self.autocast:
                found.append(probabilities_of(self.average(inputs), self.spec).cpu().numpy())
        probabilities, targets = np.concatenate(found), self.val.targets
        sure = np.clip(np.where(targets > 0, probabilities, np.nan), 1e-6, 1)
        loss = float(np.nanmean(np.nanmean(-np.log(sure), axis=0)))
        named = probabilities == probabilities.max(axis=1, keepdims=True)
        return loss, float(np.mean([named[targets[:, k] == 1, k].mean() for k in range(targets.shape[1])]))

    def chosen_state(self) -> dict[str, Tensor]:
        return self.best or self.average.state_dict()

    def save(self) -> None:
        if not self.engine.leads:
            return
        facts = {key: getattr(self, key) for key in ("epoch", "step", "seconds", "best_loss", "stale")}
        states = {"network": self.network.state_dict(), "average": self.average.state_dict()}
        states["best"] = self.best or {}
        states["optimiser"] = checkpoint.optimiser_tensors(self.optimiser)
        states["objective"] = self.objective.state()
        checkpoint.save(self.config.out / CHECKPOINT, states, {"spec": self.spec.to_json(), **facts})

    def restore(self) -> None:
        """Go on from the last checkpoint; raises ValueError when it belongs to another network or data."""
        states, facts = checkpoint.load(self.config.out / CHECKPOINT)
        if facts.pop("spec") != self.spec.to_json():
            raise ValueError(f"{self.config.out / CHECKPOINT} is of another model; choose another --out")
        self.network.load_state_dict(states["network"])
        self.average.load_state_dict(states["average"])
        checkpoint.load_optimiser(self.optimiser, states["optimiser"])
        self.objective.restore(states["objective"])
        self.best = states["best"] or None
        for key, value in facts.items():
            setattr(self, key, value)


class Log:
    """JSON lines in `log.jsonl`, on standard output too when the caller is a machine."""

    def __init__(self, config: Config, *, silent: bool = False) -> None:
        self.path, self.json, self.silent = config.out / "log.jsonl", config.json, silent
        self.bar_disabled = True if config.json or silent else None

    def note(self, event: str, **facts: Any) -> None:
        if self.silent:
            return
        line = json.dumps({"event": event, "at": round(time.time(), 1), **facts})
        with self.path.open("a") as file:
            file.write(line + "\n")
        if self.json or not sys.stderr.isatty():
            print(line, flush=True)


def spec_for(config: Config, rows: list[Row]) -> ModelSpec:
    found = sorted({name for row in rows for name in row.findings or ()})
    several = any(len(row.findings or ()) > 1 for row in rows)
    if several and config.activation == "softmax":
        raise ValueError("some images have several findings: use --activation sigmoid")
    return ModelSpec(
        name=config.name,
        slot=Slot(config.slot),
        findings=config.findings or tuple(found),
        arch=config.arch,
        layers=config.layers,
        width=config.width,
        activation=config.activation,
        size=config.size,
        crop=config.crop,
        hounsfield=(config.hounsfield or LUNG_WINDOW) if config.slot == Slot.CT else None,
    )


def objective_for(config: Config, spec: ModelSpec, part: Part, device: torch.device) -> Objective:
    weights = rarity_weights(torch.from_numpy(part.targets)) if config.balance == "weight" else None
    how = {"loss": config.loss, "smoothing": config.label_smoothing, "robust": config.group_robust}
    return Objective(spec, [row.stratum for row in part.rows], weights=weights, device=device, **how)


def part_of(name: str, rows: list[Row], squares: np.ndarray, refused: dict, spec: ModelSpec) -> Part:
    """The readable rows of one part; raises ValueError when a finding has no image in it.

    The test part may lack one: a held-out patient, or hospital, has not every finding.
    """
    index = np.array([i for i, r in enumerate(rows) if r.split == name and r.image not in refused], dtype=int)
    chosen = [rows[i] for i in index]
    targets = targets_of(chosen, spec.findings)
    for finding, present in zip(spec.findings, (targets == 1).sum(axis=0), strict=True):
        if not present and (name != "test" or not (targets == 1).any()):
            raise ValueError(f"the {name} part has no image with {finding!r}")
    return Part(chosen, squares, targets, index)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    declare(parser)


def run(args: argparse.Namespace) -> int:
    config = Config(**{field.name: getattr(args, field.name) for field in fields(Config)})
    try:
        path = train(config)
    except (ValueError, OSError, ArtifactError) as error:
        print(f"training failed: {error}", file=sys.stderr)
        return 1
    if config.devices == 1 or engine_of(config).leads:
        print(json.dumps({"event": "done", "artifact": str(path)}) if config.json else path)
    return 0
