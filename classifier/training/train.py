"""From a manifest to an artifact: `python -m classifier train --manifest CSV --out DIR`."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from classifier.artifact.pretrained import start_from
from classifier.contract import ModelSpec
from classifier.data.image_cache import WORKING
from classifier.data.manifest import Row
from classifier.networks.registry import network_for
from classifier.training.classification import Classification
from classifier.training.config import Config, resolved
from classifier.training.cross_validation import train_folds
from classifier.training.dataset import DataSet, load_data_set, rows_of, spec_for, split_fingerprint
from classifier.training.distributed import Distributed, start_processes
from classifier.training.export import ARTIFACT, auxiliary_networks, export_model, read_about
from classifier.training.loop import Loop
from classifier.training.optim import zero_init_residuals
from classifier.training.run_log import RunLog
from classifier.training.tune import OnScore, search

CHECKPOINT, LOG = "checkpoint.safetensors", "log.jsonl"


def train(config: Config) -> Path:
    """Train as configured; returns the path of the artifact or, with folds, of the report on all of them.

    Raises ValueError, OSError or ArtifactError for data or options that cannot be used.
    """
    config = resolved(config)
    if config.folds and config.fold is None:
        return finished(config, train_folds(config, train))
    config.out.mkdir(parents=True, exist_ok=True)
    if config.threads:
        torch.set_num_threads(config.threads)
    processes = processes_for(config)
    about, auxiliary = read_about(config.about), auxiliary_networks(config.auxiliary)
    log = RunLog(config.out / LOG, machine=config.json, silent=not processes.is_main)
    rows = rows_of(config, log)
    known: dict[str, Any] = {"segmenter": auxiliary.parts.get("segmenter"), "processes": processes}
    if config.tune:
        run = partial(train_trial, rows=rows, **known)
        split = split_fingerprint(rows)
        config = search(config, run, split=split, checkpoint=config.out / CHECKPOINT, log=log)
    spec = spec_for(config, rows)
    data = load_data_set(config, spec, rows, log=log, **known)
    task = task_for(config, spec, data, processes, log)
    loop = Loop(task, task.plan, processes=processes, log=log, checkpoint=config.out / CHECKPOINT)
    if config.resume:
        loop.restore()
    loop.run()
    if not processes.is_main:
        return config.out / ARTIFACT
    path = export_model(config, spec, loop.result, data=data, log=log, about=about, auxiliary=auxiliary)
    return finished(config, path)


def task_for(
    config: Config, spec: ModelSpec, data: DataSet, processes: Distributed, log: RunLog
) -> Classification:
    """The network with its initial weights, and what it learns."""
    torch.manual_seed(config.seed)  # of the initial weights
    network = network_for(spec, dropout=config.dropout)
    if config.pretrained:
        log.note("pretrained", **asdict(start_from(network, spec, config.pretrained)))
    else:
        zero_init_residuals(network)
    return Classification(config, spec, network, data.parts, processes.device)


def train_trial(
    config: Config, on_score: OnScore, *, rows: list[Row], segmenter: Any, processes: Distributed
) -> float:
    """Train one trial of a search; returns its best validation loss."""
    log, spec = RunLog(silent=True), spec_for(config, rows)
    data = load_data_set(config, spec, rows, segmenter=segmenter, processes=processes, log=log, checks=False)
    task = task_for(config, spec, data, processes, log)
    return Loop(task, task.plan, processes=processes, log=log, on_score=on_score).run().best_loss


def finished(config: Config, path: Path) -> Path:
    """Delete the working images, which only the evaluation reads, unless --cache keeps them."""
    if config.cache is None:
        shutil.rmtree(config.out / "cache" / WORKING, ignore_errors=True)
    return path


def processes_for(config: Config) -> Distributed:
    """One process or several; raises ValueError for options that several cannot follow together."""
    single = [name for name in ("folds", "freeze", "group_robust", "tune") if getattr(config, name)]
    if config.devices > 1 and (single or config.batch % config.devices):
        name = (single or ["batch"])[0]
        option = f"--{name.replace('_', '-')} {getattr(config, name)}"
        raise ValueError(f"--devices {config.devices} cannot be combined with {option}")
    return start_processes(config.device, config.devices)
