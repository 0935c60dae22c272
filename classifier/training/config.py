"""The options of a training run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from classifier.contract import Slot
from classifier.networks.registry import ARCHITECTURES
from classifier.training.loss import LOSSES
from classifier.training.options import option


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """What `train` and `pretrain` have in common."""

    out: Path = option("folder of this run", metavar="DIR")
    where: tuple[str, ...] = option(
        "only the manifest's rows for which all of these hold, as in source=nih,finding!=normal", ()
    )
    arch: str = option("architecture", "resnetv2", choices=list(ARCHITECTURES))
    layers: tuple[int, ...] | None = option("blocks of the four stages (default: those of --arch)", None)
    width: int | None = option("channels of the first stage (default: that of --arch)", None)
    crop: Literal["whole", "lungs"] = option(
        "input of the network; lungs: the box around them, by the segmenter of --auxiliary", "whole"
    )
    seed: int = option("seed of split, weights, sampling and augmentation", 0)
    device: str = option("auto, cpu or cuda", "auto")
    threads: int | None = option("CPU threads (default: chosen by PyTorch)", None)
    resume: bool = option("resume from the checkpoint in --out", False)


@dataclass(frozen=True, kw_only=True)
class Config(NetworkOptions):
    """The options of `train`."""

    manifest: Path = option(
        "images with findings and patients; parts are the manifest's `split` column, "
        "or 70 / 10 / 20 %% by patient, even over sources and findings",
        metavar="CSV",
    )
    name: str = option("the model's name", "cxr")
    slot: str = option(
        "kind of image that the model classifies", "cxr", choices=[slot.value for slot in Slot]
    )
    findings: tuple[str, ...] | None = option(
        "comma-separated, in the order of the outputs (default: those of the manifest)", None
    )
    activation: Literal["softmax", "sigmoid"] = option(
        "softmax: one finding per image; sigmoid: any number", "softmax"
    )
    size: int | None = option(
        "side of the square input in pixels, a multiple of 32 (default: that of --arch)", None
    )
    hounsfield: tuple[float, ...] | None = option(
        "ends of the window of a CT model (default with --slot ct: -1350,150)", None
    )
    epochs: int = option("largest number of epochs", 30)
    epoch_images: int | None = option("images drawn per epoch (default: the size of the train part)", None)
    max_minutes: float | None = option("time limit; learning rate and image size follow the clock", None)
    patience: int = option("stop after this many epochs at full size without a better validation loss", 8)
    batch: int = option("images per step", 32)
    optimiser: Literal["adamw", "sgd"] = option(
        "AdamW, or SGD with Nesterov momentum, which needs a larger --lr", "adamw"
    )
    lr: float = option("peak learning rate", 8e-4)
    weight_decay: float = option("weight decay; norms and biases are not decayed", 0.05)
    warmup: float = option("share of the training in which the learning rate rises", 0.04)
    freeze: float = option(
        "share of the training in which only the last layer learns; with --pretrained", 0.0
    )
    loss: str = option(
        "focal: cases that are already correct have little weight (Lin et al. 2017)",
        "cross_entropy",
        choices=LOSSES,
    )
    balance: Literal["draw", "weight", "none"] = option(
        "how findings get equal weight: by sampling, by weights in the loss, or not at all", "draw"
    )
    group_robust: float = option(
        "above 0: step by which the worst group (finding in a source) gains weight (group DRO); try 0.01", 0.0
    )
    label_smoothing: float = option("share of each target that is distributed over the findings", 0.05)
    boxes: Path | None = option(
        "boxes that readers drew, image,x0,y0,x1,y1 in shares of the image: heatmaps are compared with them",
        None,
        metavar="CSV",
    )
    box_loss: float = option(
        "weight of a loss on the heatmaps: high inside the --boxes; in normal images low outside the lungs",
        0.0,
    )
    label_noise: tuple[str, ...] = option(
        "label smoothing of sources with unreliable labels, as in nih=0.2 (others: --label-smoothing)",
        (),
        metavar="SOURCE=SHARE,...",
    )
    dropout: float = option("dropout before the last layer", 0.2)
    clip: float = option("largest norm of the gradient", 1.0)
    ema: float = option("decay of the moving average of the weights", 0.998)
    average: Literal["ema", "swa"] = option(
        "weights that are kept: the moving average, or (swa) the even average of the last quarter", "ema"
    )
    source_balance: float = option(
        "0: sources in their own proportions; 1: every source of a finding drawn equally often", 0.75
    )
    teacher: Path | None = option(
        "predictions.csv of a model of any architecture, to learn from; use a model that was not trained "
        "on these images, or the pooled predictions of folds",
        None,
        metavar="CSV",
    )
    teacher_weight: float = option("share of the loss that the --teacher has", 0.5)
    teacher_temperature: float = option("temperature that softens both predictions", 2.0)
    source_weight: tuple[str, ...] = option(
        "factor by which a source is drawn more often within each finding, as in nih=0.5 (others: 1)",
        (),
        metavar="SOURCE=FACTOR,...",
    )
    augment: float = option("strength of the augmentation: 0 none, 2 strong", 1.0)
    flip: float = option("probability of a left-right flip", 0.0)
    progressive: bool = option("start with small images, which is faster", True)
    pretrained: str | None = option(
        "weights to start from: a Hilum model, a safetensors file of timm's resnetv2_50 or of a resnet50, or "
        "`auto`: public ImageNet weights, where the network allows",
        None,
    )
    auxiliary: Path | None = option(
        "model file whose input check and lung segmenter the new model takes over, unchanged", None
    )
    other_abnormality: Path | None = option(
        "manifest of images with other abnormalities (findings that the model does not have), for a score "
        "that withholds reported findings on such images",
        None,
        metavar="CSV",
    )
    cache: Path | None = option("folder for preprocessed images (default: in --out)", None)
    validation: Path | None = option(
        "JSON file that `validate --json` printed for these images, so that they are not validated again",
        None,
    )
    about: Path | None = option(
        "JSON file with statements for the model card: intended use, limits, licence, ...", None
    )
    calibration: Literal["bias", "temperature"] = option(
        "fitted on validation: a temperature, with or without biases", "bias"
    )
    threshold_by: Literal["false_alarms", "youden"] = option(
        "thresholds, fitted on validation: for --false-alarms, or by sensitivity + specificity over all "
        "images (Youden 1950)",
        "false_alarms",
    )
    false_alarms: float = option(
        "largest share of normal images of any source that may reach the threshold of another finding; "
        "sources with fewer than 30 normal validation images count as one",
        0.1,
    )
    shortcuts: int = option(
        "test images for the shortcut test (lungs hidden), if the model carries a lung segmenter", 500
    )
    road: int = option(
        "test images on which the faithfulness of the maps is measured (minutes per hundred)", 0
    )
    folds: int | None = option(
        "cross-validation: one run per fold, in folders of --out, and one report on all predictions", None
    )
    fold: int | None = option("train only this one of --folds, from 1; `pool-folds` joins the folders", None)
    fold_by: Literal["patient", "image"] = option(
        "unit that folds keep together (image: patients may be in several folds, as in many papers)",
        "patient",
    )
    tune: int | None = option(
        "first search learning rate, augmentation, dropout and size in this many trials of a fifth of the "
        "epochs each, and train with the best (Optuna)",
        None,
        metavar="N",
    )
    storage: Literal["int8", "fp16", "fp32"] = option("storage of the weights in the artifact", "int8")
    devices: int = option("number of devices that train together, each on its part of every batch", 1)
    precision: Literal["auto", "fp32", "bf16"] = option(
        "arithmetic of the convolutions (auto: bf16 on CUDA, else fp32)", "auto"
    )
    json: bool = option("JSON lines on standard output, no bars", False)


def resolved(config: Config) -> Config:
    """The configuration with the architecture's own shape where none was given; raises ValueError."""
    architecture = ARCHITECTURES[config.arch]
    shape = {
        name: getattr(config, name) or getattr(architecture, name) for name in ("layers", "width", "size")
    }
    if not 0 < config.false_alarms < 1:
        raise ValueError(f"--false-alarms {config.false_alarms} is not between 0 and 1")
    return replace(config, **shape)
