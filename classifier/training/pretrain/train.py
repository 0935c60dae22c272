"""Pass the weights to `train --pretrained DIR/weights.safetensors`. `--how siamese` learns from the images of
a manifest, without its validation and test parts; `--how fractals` learns from generated images.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, fields
from pathlib import Path

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
from classifier.training.config import names, numbers
from classifier.training.distributed import Distributed
from classifier.training.loop import Loop, Plan
from classifier.training.optim import zero_init_residuals
from classifier.training.pretrain.tasks import Fractals, ImageTask, Siamese
from classifier.training.run_log import RunLog

WEIGHTS, CHECKPOINT, LOG = "weights.safetensors", "checkpoint.safetensors", "log.jsonl"
NOTE_EVERY, SAVE_EVERY = 20, 200  # steps


@dataclass(frozen=True)
class Config:
    """The options of a pretraining; the command's options have the same names."""

    how: str
    out: Path
    manifest: Path | None = None
    where: tuple[str, ...] = ()
    crop: str = "whole"
    auxiliary: Path | None = None
    arch: str = "resnetv2"
    layers: tuple[int, ...] | None = None
    width: int | None = None
    size: int = 128
    categories: int = 200
    steps: int = 4000
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.01
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    resume: bool = False


def pretrain(config: Config) -> Path:
    """Pretrain as configured; returns the path of the weights. Raises ValueError for unusable options."""
    config.out.mkdir(parents=True, exist_ok=True)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)  # of the initial weights
    architecture = ARCHITECTURES[config.arch]
    formulas = tuple(f"formula {number}" for number in range(config.categories))
    spec = ModelSpec(
        name=config.how,
        slot=Slot.CXR,
        findings=formulas,
        crop=config.crop,
        arch=config.arch,
        layers=config.layers or architecture.layers,
        width=config.width or architecture.width,
        size=config.size,
    )
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


OPTIONS = {
    "where": (
        names,
        "only the manifest's rows for which all of these hold, as in source=nih,finding!=normal",
    ),
    "crop": (
        ["whole", "lungs"],
        "input of the network; lungs: the box around them, by the segmenter of --auxiliary",
    ),
    "auxiliary": (Path, "model file with the lung segmenter"),
    "arch": (list(ARCHITECTURES), "architecture, as in `train`"),
    "layers": (numbers, "blocks of the four stages, as in `train`"),
    "width": (int, "channels of the first stage, as in `train`"),
    "size": (int, "side of the square input in pixels"),
    "categories": (int, "number of formulas, with --how fractals"),
    "steps": (int, "steps of the optimiser"),
    "batch": (int, "images per step"),
    "lr": (float, "peak learning rate"),
    "weight_decay": (float, "weight decay"),
    "seed": (int, "seed of split, sampling, augmentation and formulas"),
    "device": (str, "auto, cpu or cuda"),
    "threads": (int, "CPU threads (default: PyTorch's choice)"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--how",
        choices=["siamese", "fractals"],
        required=True,
        help="images of a manifest, or fractals drawn by formula",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of weights and checkpoint"
    )
    parser.add_argument("--manifest", type=Path, metavar="CSV", help="images, with --how siamese")
    defaults = {field.name: field.default for field in fields(Config)}
    for name, (kind, purpose) in OPTIONS.items():
        how = {"choices": kind} if isinstance(kind, list) else {"type": kind}
        shown = "" if defaults[name] in (None, ()) else f" (default: {defaults[name]})"
        parser.add_argument(
            f"--{name.replace('_', '-')}", default=defaults[name], help=purpose + shown, **how
        )
    parser.add_argument("--resume", action="store_true", help="resume from the checkpoint in --out")


def run(args: argparse.Namespace) -> int:
    try:
        print(pretrain(Config(**{field.name: getattr(args, field.name) for field in fields(Config)})))
    except (ValueError, OSError, ArtifactError) as error:
        print(f"pretraining failed: {error}", file=sys.stderr)
        return 1
    return 0
