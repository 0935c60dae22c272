"""Weights to start a training from that took no label: `train --pretrained DIR/weights.safetensors`.

`--how siamese` learns from a hospital's own images; those of the validation and test parts are left out.
`--how fractals` learns from images made by formula, which needs no image at all.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from tqdm import tqdm

from classifier.artifact.weights import ArtifactError, load_artifact
from classifier.contract import ModelSpec, Slot
from classifier.data.image_cache import unit_squares
from classifier.data.manifest import read_manifest, with_split
from classifier.inference.auxiliary import lung_boxes
from classifier.networks.registry import network_for
from classifier.training import checkpoint
from classifier.training.config import names, numbers
from classifier.training.distributed import device_for
from classifier.training.optim import optimiser_for, quiet_residuals, rate_at
from classifier.training.pretrain.tasks import Fractals, Siamese, Task

WEIGHTS, CHECKPOINT, LOG = "weights.safetensors", "checkpoint.safetensors", "log.jsonl"
NOTE_EVERY, SAVE_EVERY = 20, 200  # steps


@dataclass(frozen=True)
class Config:
    """What a pretraining is asked for; the command's options have the same names."""

    how: str
    out: Path
    manifest: Path | None = None
    where: tuple[str, ...] = ()
    crop: str = "whole"
    companions: Path | None = None
    arch: str = "resnetv2"
    layers: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
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
    """Pretrain as configured; returns the path of the weights. Raises ValueError for what will not do."""
    config.out.mkdir(parents=True, exist_ok=True)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)  # the first weights
    formulas = tuple(f"formula {number}" for number in range(config.categories))
    shape = {"arch": config.arch, "layers": config.layers, "width": config.width, "size": config.size}
    spec = ModelSpec(name=config.how, slot=Slot.CXR, findings=formulas, crop=config.crop, **shape)
    network = network_for(spec)
    quiet_residuals(network)
    device = torch.device(device_for(config.device))
    run = Run(config, spec, network, task_for(config, spec, network.fc.in_features, device))
    if config.resume and (config.out / CHECKPOINT).exists():
        run.restore()
    run.fit()
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file({name: state[name] for name in state if not name.startswith("fc.")}, config.out / WEIGHTS)
    return config.out / WEIGHTS


def task_for(config: Config, spec: ModelSpec, features: int, device: torch.device) -> Task:
    if config.how == "fractals":
        return Fractals(spec, device, seed=config.seed)
    if config.manifest is None:
        raise ValueError("--how siamese learns from images: give --manifest")
    rows = with_split(read_manifest(config.manifest, where=config.where), seed=config.seed)
    rows = [row for row in rows if row.split == "train"]
    boxes = lung_boxes(spec, load_artifact(config.companions).segmenter if config.companions else None)
    squares, refused = unit_squares(rows, spec, config.out / "cache", **boxes)
    usable = [at for at, row in enumerate(rows) if row.image not in refused]
    return Siamese(spec, squares[usable], device, features=features)


class Run:
    """The state of one pretraining and its loop."""

    def __init__(self, config: Config, spec: ModelSpec, network: nn.Module, task: Task) -> None:
        self.config, self.spec, self.task = config, spec, task
        self.network = network.to(task.device, memory_format=torch.channels_last).train()
        self.whole = nn.ModuleDict({"network": network, "task": task.to(task.device)})
        cuda = task.device.type == "cuda"
        self.autocast = torch.autocast(task.device.type, torch.bfloat16, enabled=cuda)
        self.optimiser = optimiser_for(self.whole, lr=config.lr, weight_decay=config.weight_decay)
        self.step = 0

    def fit(self) -> None:
        config = self.config
        bar = tqdm(total=config.steps, initial=self.step, desc="pretraining", unit="step", disable=None)
        noted = time.monotonic()
        while self.step < config.steps:
            rng = np.random.default_rng((config.seed, self.step))  # a resumed run draws as the whole one
            for group in self.optimiser.param_groups:
                group["lr"] = config.lr * rate_at(self.step / config.steps, 0.05)
            with self.autocast:
                loss = self.task.loss(self.network, rng, config.batch)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            self.step += 1
            bar.update()
            if self.step % NOTE_EVERY == 0:
                self.note(
                    loss=loss.item(),
                    images_per_second=NOTE_EVERY * config.batch / (time.monotonic() - noted),
                )
                noted = time.monotonic()
            if self.step % SAVE_EVERY == 0 or self.step == config.steps:
                self.save()
        bar.close()

    def save(self) -> None:
        states = {"whole": self.whole.state_dict(), "optimiser": checkpoint.optimiser_tensors(self.optimiser)}
        checkpoint.save(
            self.config.out / CHECKPOINT, states, {"step": self.step, "spec": self.spec.to_json()}
        )

    def restore(self) -> None:
        """Go on from the last checkpoint; raises ValueError when it is of another network."""
        states, facts = checkpoint.load(self.config.out / CHECKPOINT)
        if facts["spec"] != self.spec.to_json():
            raise ValueError(f"{self.config.out / CHECKPOINT} is of another network; choose another --out")
        self.whole.load_state_dict(states["whole"])
        checkpoint.load_optimiser(self.optimiser, states["optimiser"])
        self.step = facts["step"]

    def note(self, **facts: float) -> None:
        line = json.dumps({"event": "progress", "step": self.step, "of": self.config.steps, **facts})
        with (self.config.out / LOG).open("a") as file:
            file.write(line + "\n")
        if not sys.stderr.isatty():
            print(line, flush=True)


OPTIONS = {
    "where": (
        names,
        "only the manifest's rows for which all of these hold, as in source=nih,finding!=normal",
    ),
    "crop": (["whole", "lungs"], "what the network sees; lungs: their box, by the segmenter of --companions"),
    "companions": (Path, "model file whose lung segmenter finds the lungs"),
    "arch": (["resnetv2", "resnet50"], "architecture, as in `train`"),
    "layers": (numbers, "blocks of the four stages, as in `train`"),
    "width": (int, "channels of the first stage, as in `train`"),
    "size": (int, "side of the square input in pixels"),
    "categories": (int, "formulas to tell apart, with --how fractals"),
    "steps": (int, "steps of the optimiser"),
    "batch": (int, "images a step"),
    "lr": (float, "peak learning rate"),
    "weight_decay": (float, "of the weights"),
    "seed": (int, "of the split, the draws, the augmentation and the formulas"),
    "device": (str, "auto, cpu or cuda"),
    "threads": (int, "CPU threads (default: PyTorch's choice)"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--how", choices=["siamese", "fractals"], required=True, help="what it learns from")
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
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")


def run(args: argparse.Namespace) -> int:
    try:
        print(pretrain(Config(**{field.name: getattr(args, field.name) for field in fields(Config)})))
    except (ValueError, OSError, ArtifactError) as error:
        print(f"pretraining failed: {error}", file=sys.stderr)
        return 1
    return 0
