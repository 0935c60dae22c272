"""Pass the weights to `train --pretrained DIR/weights.safetensors`. `--how siamese` learns from the images of
a manifest, without its validation and test parts; `--how fractals` learns from generated images.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file
from torch import nn

from classifier.artifact.weights import load_artifact
from classifier.contract import ModelSpec, Slot
from classifier.data.image_cache import prepare, preprocessing_for
from classifier.data.manifest import read_manifest, with_split
from classifier.errors import ArtifactError
from classifier.inference.auxiliary import lung_boxes
from classifier.networks.registry import ARCHITECTURES, head_of, network_for
from classifier.training.config import NetworkOptions
from classifier.training.distributed import Distributed
from classifier.training.loop import Loop, Plan
from classifier.training.optim import zero_init_residuals
from classifier.training.options import add_options, option, options_in
from classifier.training.pretrain.tasks import Fractals, ImageTask, Siamese
from classifier.training.run_log import RunLog

WEIGHTS, CHECKPOINT, LOG = "weights.safetensors", "checkpoint.safetensors", "log.jsonl"
NOTE_EVERY, SAVE_EVERY = 20, 200  # steps


@dataclass(frozen=True, kw_only=True)
class Config(NetworkOptions):
    """The options of `pretrain`."""

    how: Literal["siamese", "fractals"] = option("images of a manifest, or fractals drawn by formula")
    manifest: Path | None = option("images, with --how siamese", None, metavar="CSV")
    auxiliary: Path | None = option("model file with the lung segmenter", None)
    size: int = option("side of the square input in pixels", 128)
    categories: int = option("number of formulas, with --how fractals", 200)
    steps: int = option("steps of the optimiser", 4000)
    batch: int = option("images per step", 64)
    lr: float = option("peak learning rate", 1e-3)
    weight_decay: float = option("weight decay", 0.01)


def pretrain(config: Config) -> Path:
    """Pretrain as configured; returns the path of the weights. Raises ValueError for unusable options."""
    config.out.mkdir(parents=True, exist_ok=True)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)  # of the initial weights
    architecture = ARCHITECTURES[config.arch]
    formulas = tuple(f"formula {number}" for number in range(config.categories))
    same = {name: getattr(config, name) for name in ("crop", "arch", "size")}
    shape = {"layers": config.layers or architecture.layers, "width": config.width or architecture.width}
    spec = ModelSpec(name=config.how, slot=Slot.CXR, findings=formulas, **same, **shape)
    network = network_for(spec)
    zero_init_residuals(network)
    processes = Distributed(config.device)
    plan = Plan(
        steps=config.steps,
        epoch_steps=min(SAVE_EVERY, config.steps),
        batch=config.batch,
        lr=config.lr,
        weight_decay=config.weight_decay,
        precision="auto",
        title="pretraining",
        note_steps=NOTE_EVERY,
    )
    task = task_for(config, spec, network, processes.device)
    log, path = RunLog(config.out / LOG), config.out / CHECKPOINT
    loop = Loop(task, plan, processes=processes, log=log, checkpoint=path)
    if config.resume:
        loop.restore()
    loop.run()
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    head = f"{architecture.head}."
    save_file({name: state[name] for name in state if not name.startswith(head)}, config.out / WEIGHTS)
    return config.out / WEIGHTS


def task_for(config: Config, spec: ModelSpec, network: nn.Module, device: torch.device) -> ImageTask:
    if config.how == "fractals":
        return Fractals(spec, network, device, seed=config.seed)
    if config.manifest is None:
        raise ValueError("--how siamese requires images: give --manifest")
    rows = with_split(read_manifest(config.manifest, where=config.where), seed=config.seed)
    rows = [row for row in rows if row.split == "train"]
    segmenter = load_artifact(config.auxiliary).segmenter if config.auxiliary else None
    prepared = prepare(rows, preprocessing_for(spec, **lung_boxes(spec, segmenter)), config.out / "cache")
    usable = [at for at, row in enumerate(rows) if row.image not in prepared.refused]
    features = head_of(network, spec).in_features
    return Siamese(spec, network, prepared.images[usable], device, seed=config.seed, features=features)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, Config)


def run(args: argparse.Namespace) -> int:
    try:
        print(pretrain(options_in(args, Config)))
    except (ValueError, OSError, ArtifactError) as error:
        print(f"pretraining failed: {error}", file=sys.stderr)
        return 1
    return 0
