"""The options of a training run: as a record, and as command-line arguments."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from pathlib import Path

from classifier.contract import Slot
from classifier.networks.registry import ARCHITECTURES
from classifier.training.loss import LOSSES


@dataclass(frozen=True)
class Config:
    """The options of a training run; the command's options have the same names."""

    manifest: Path
    out: Path
    where: tuple[str, ...] = ()
    name: str = "cxr"
    slot: str = "cxr"
    findings: tuple[str, ...] | None = None
    arch: str = "resnetv2"
    layers: tuple[int, ...] | None = None
    width: int | None = None
    activation: str = "softmax"
    size: int | None = None
    crop: str = "whole"
    hounsfield: tuple[float, ...] | None = None
    epochs: int = 30
    epoch_images: int | None = None
    max_minutes: float | None = None
    patience: int = 8
    batch: int = 32
    optimiser: str = "adamw"
    lr: float = 8e-4
    weight_decay: float = 0.05
    warmup: float = 0.04
    freeze: float = 0.0
    loss: str = "cross_entropy"
    balance: str = "draw"
    group_robust: float = 0.0
    label_smoothing: float = 0.05
    dropout: float = 0.2
    clip: float = 1.0
    ema: float = 0.998
    source_balance: float = 0.75
    flip: float = 0.0
    progressive: bool = True
    seed: int = 0
    pretrained: str | None = None
    auxiliary: Path | None = None
    cache: Path | None = None
    validation: Path | None = None
    about: Path | None = None
    calibration: str = "bias"
    shortcuts: int = 500
    road: int = 0
    folds: int | None = None
    fold: int | None = None
    fold_by: str = "patient"
    storage: str = "int8"
    device: str = "auto"
    devices: int = 1
    precision: str = "auto"
    threads: int | None = None
    resume: bool = False
    json: bool = False


def resolved(config: Config) -> Config:
    """The configuration with the architecture's own shape where none was given."""
    architecture = ARCHITECTURES[config.arch]
    shape = {
        name: getattr(config, name) or getattr(architecture, name) for name in ("layers", "width", "size")
    }
    return replace(config, **shape)


def names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in names(text))


def _floats(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in names(text))


SPLIT_NOTE = "the manifest's `split` column, or 70 / 10 / 20 %% by patient, even over sources and findings"
OPTIONS = {  # name: (type or choices, what it does)
    "where": (
        names,
        "only the manifest's rows for which all of these hold, as in source=nih,finding!=normal",
    ),
    "name": (str, "the model's name"),
    "slot": ([slot.value for slot in Slot], "kind of image that the model classifies"),
    "findings": (names, "comma-separated, in the order of the outputs (default: those of the manifest)"),
    "arch": (list(ARCHITECTURES), "architecture"),
    "layers": (numbers, "blocks of the four stages (default: those of --arch)"),
    "width": (int, "channels of the first stage (default: those of --arch)"),
    "activation": (["softmax", "sigmoid"], "softmax: one finding per image; sigmoid: any number"),
    "size": (int, "side of the square input in pixels, a multiple of 32 (default: that of --arch)"),
    "crop": (
        ["whole", "lungs"],
        "input of the network; lungs: the box around them, by the segmenter of --auxiliary",
    ),
    "hounsfield": (
        _floats,
        "ends of the window of a CT model (default with --slot ct: -1350,150)",
    ),
    "epochs": (int, "largest number of epochs"),
    "epoch_images": (int, "images drawn per epoch (default: the size of the train part)"),
    "max_minutes": (float, "time limit; learning rate and image size follow the clock"),
    "patience": (int, "stop after this many epochs at full size without a better validation loss"),
    "batch": (int, "images per step"),
    "optimiser": (["adamw", "sgd"], "AdamW, or SGD with Nesterov momentum, which needs a larger --lr"),
    "lr": (float, "peak learning rate"),
    "weight_decay": (float, "weight decay; norms and biases are not decayed"),
    "warmup": (float, "share of the training in which the learning rate rises"),
    "freeze": (float, "share of the training in which only the last layer learns; with --pretrained"),
    "loss": (list(LOSSES), "focal: cases that are already correct have little weight (Lin et al. 2017)"),
    "balance": (
        ["draw", "weight", "none"],
        "how findings get equal weight: by sampling, by weights in the loss, or not at all",
    ),
    "group_robust": (
        float,
        "above 0: step by which the worst group (finding in a source) gains weight (group DRO); try 0.01",
    ),
    "label_smoothing": (float, "share of each target that is distributed over the findings"),
    "dropout": (float, "dropout before the last layer"),
    "clip": (float, "largest norm of the gradient"),
    "ema": (float, "decay of the moving average of the weights"),
    "source_balance": (
        float,
        "0: sources in their own proportions; 1: every source of a finding drawn equally often",
    ),
    "flip": (float, "probability of a left-right flip"),
    "seed": (int, "seed of split, sampling and augmentation"),
    "pretrained": (
        str,
        "weights to start from: a Hilum model, a safetensors file of timm's resnetv2_50 or of a resnet50, or "
        "`auto`: public ImageNet weights, where the network allows",
    ),
    "auxiliary": (
        Path,
        "model file whose input check and lung segmenter the new model takes over, unchanged",
    ),
    "cache": (Path, "folder for preprocessed images (default: in --out)"),
    "validation": (
        Path,
        "JSON file that `validate --json` printed for these images, so that they are not validated again",
    ),
    "about": (Path, "JSON file with statements for the model card: intended use, limits, licence, ..."),
    "folds": (
        int,
        "cross-validation: one run per fold, in folders of --out, and one report on all predictions",
    ),
    "fold": (int, "train only this one of --folds, from 1; `pool-folds` joins the folders"),
    "fold_by": (
        ["patient", "image"],
        "unit that folds keep together (image: patients may be in several folds, as in many papers)",
    ),
    "shortcuts": (
        int,
        "test images for the shortcut test (lungs hidden), if the model carries a lung segmenter",
    ),
    "road": (int, "test images on which the faithfulness of the maps is measured (minutes per hundred)"),
    "calibration": (["bias", "temperature"], "fitted on validation: a temperature, with or without biases"),
    "storage": (["int8", "fp16", "fp32"], "storage of the weights in the artifact"),
    "device": (str, "auto, cpu or cuda"),
    "devices": (int, "number of devices that train together, each on its part of every batch"),
    "precision": (["auto", "fp32", "bf16"], "arithmetic of the convolutions (auto: bf16 on CUDA, else fp32)"),
    "threads": (int, "CPU threads (default: PyTorch's choice)"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options as arguments, with the record's defaults."""
    defaults = {field.name: field.default for field in fields(Config)}
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="CSV",
        help=f"images with findings and patients; parts are {SPLIT_NOTE}",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of this run")
    for name, (kind, purpose) in OPTIONS.items():
        default = defaults[name]
        shown = "" if default in (None, ()) or "(default" in purpose else f" (default: {default})"
        how = {"choices": kind} if isinstance(kind, list) else {"type": kind}
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, help=purpose + shown, **how)
    parser.add_argument(
        "--progressive", action=argparse.BooleanOptionalAction, default=True,
        help="start with small images, which is faster",
    )  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="resume from the checkpoint in --out")
    parser.add_argument("--json", action="store_true", help="JSON lines on standard output, no bars")
