"""Masks are 1-bit PNG files named like their images. Images without lungs (--negatives) teach the segmenter
to find nothing. Images without masks are added in a second round, labelled by the segmenter itself where its
predictions on two views agree. Settings, counts and the Dice scores of held-out patients are written to a
JSON file next to the weights.
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
import operator
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import numpy as safetensors_numpy
from torch import Tensor, nn
from torch.nn import functional

from classifier.artifact.quantise import restored, stored
from classifier.data.manifest import Row, read_manifest, with_split
from classifier.data.split import PARTS
from classifier.networks.lung_segmenter import MEAN, STD, LungSegmenter, load_segmenter, lungs_of
from classifier.training.loop import Loop, Plan, Task
from classifier.training.lungs.data import (
    Images,
    Vary,
    blank_images,
    mask_of,
    negative_rows,
    read_images,
    resized,
)
from classifier.training.lungs.measure import dice, dice_of, emptiness, masks_of
from classifier.training.options import add_options, option, options_in

AGREEMENT = 0.93  # least Dice of either lung between two views, for a mask of the segmenter's own
PLAUSIBLE = (0.04, 0.35)  # area of one lung, as a share of the image, for the same


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options of `lung-segmenter`, and others that stay as they are."""

    manifest: Path = option("images with their patients", metavar="CSV")
    masks: Path = option("lung masks, named as their images", metavar="DIR")
    out: Path = option("weights to write (safetensors)", metavar="FILE")
    negatives: Sequence[Path] = option("images without lungs", (), type=Path, nargs="*", metavar="CSV")
    start: Path | None = option(
        "weights that this command wrote, instead of the first round", None, metavar="FILE"
    )
    per_source: int = option("images of each source without masks that the segmenter may label itself", 400)
    made: int = option("generated images without lungs", 256)
    steps: int = option("steps of the first round", 600)
    own_steps: int = option("steps of the second round, with its own masks; 0: no second round", 450)
    batch: int = option("images per step", 16)
    seed: int = option("seed of split, weights and augmentation", 0)
    threads: int | None = option("CPU threads (default: chosen by PyTorch)", None)
    lr: float = 3e-3
    ema: float = 0.99
    storage: str = "fp16"


def train(config: Config) -> dict[str, Any]:
    """Train, store and measure as configured; returns the report. Raises ValueError without masks."""
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    started = time.monotonic()
    rows = rows_with_parts(read_manifest(config.manifest), config.masks, seed=config.seed)
    masked = read_images([row for row in rows if row.split], config.masks, title="images with masks")
    empty = read_images(negative_rows(config.negatives, seed=config.seed), title="images without lungs")
    synthetic = blank_images(config.made, seed=config.seed)
    masked_part, empty_part = masked.part("train"), empty.part("train") + synthetic
    if config.start:
        average = load_segmenter(load(config.start))
    else:
        kinds = [(masked_part, 0.8), (empty_part, 0.2)]
        network = LungSegmenter().to(memory_format=torch.channels_last)
        average = fit(network, kinds, config, steps=config.steps, lr=config.lr, title="first round")
    sources: Counter = Counter()
    if config.own_steps:
        own = own_masks(average, read_images(drawn(rows, config), title="images without masks"))
        sources = Counter(row.source for row in own.rows)
        kinds = [(masked_part, 0.4), (empty_part, 0.18), (own, 0.42)]
        average = fit(average, kinds, config, steps=config.own_steps, lr=config.lr / 2, title="second round")
    save(config.out, average.state_dict(), config.storage)
    report = measured(config, masked, empty)
    report |= {"own_masks": dict(sources), "seconds": round(time.monotonic() - started)}
    config.out.with_suffix(".json").write_text(json.dumps(report, indent=1))
    return report


def measured(config: Config, masked: Images, empty: Images) -> dict[str, Any]:
    """The stored segmenter's scores on held-out images, and their numbers."""
    segmenter = load_segmenter(load(config.out))
    parts = {name: masked.part(name) for name in PARTS}
    unseen = empty.part("test") + blank_images(config.made // 4, seed=config.seed + 1)
    return {
        "settings": {k: v for k, v in asdict(config).items() if not isinstance(v, Path) and k != "negatives"},
        "parameters": sum(parameter.numel() for parameter in segmenter.parameters()),
        "images": {name: len(part) for name, part in parts.items()},
        "patients": {name: len({row.patient for row in part.rows}) for name, part in parts.items()},
        "negatives": {name: dict(Counter(row.source for row in empty.part(name).rows)) for name in PARTS},
        "dice": {
            name: dice_of(segmenter, parts[name], config.masks, seed=config.seed) for name in ("val", "test")
        },
        "empty": emptiness(segmenter, unseen),
    }


def rows_with_parts(rows: Sequence[Row], masks: Path, *, seed: int) -> list[Row]:
    """Rows whose images have a mask get a part of the split, by patient; the others have none."""
    having = [row for row in rows if mask_of(row, masks).is_file()]
    if not having:
        raise ValueError(f"no image of the manifest has a mask in {masks}")
    part_of = {row.image: row.split for row in with_split(having, seed=seed)}
    return [replace(row, split=part_of.get(row.image)) for row in rows]


def drawn(rows: Sequence[Row], config: Config) -> list[Row]:
    """Up to `per_source` rows without a mask of every source and finding, none of a held-out patient."""
    held = {row.patient for row in rows if row.split in {"val", "test"}}
    rng = np.random.default_rng(config.seed)
    free = [row for row in rows if not row.split and row.patient not in held]
    chosen: list[Row] = []
    for source in sorted({row.source for row in free}):
        group = [row for row in free if row.source == source]
        chosen += [group[i] for i in rng.permutation(len(group))[: config.per_source]]
    return chosen


def fit(
    network: nn.Module,
    kinds: Sequence[tuple[Images, float]],
    config: Config,
    *,
    steps: int,
    lr: float,
    title: str,
) -> nn.Module:
    """Train a copy on draws from each kind in its share; returns the averaged network, in evaluation mode."""
    bf16 = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    plan = Plan(
        steps=steps,
        epoch_steps=steps,
        batch=config.batch,
        lr=lr,
        title=title,
        warmup=0.08,
        clip=1.0,
        ema=config.ema,
        precision="bf16" if bf16 else "fp32",
        note_steps=50,
    )
    return Loop(Segmentation(network, kinds, seed=config.seed + steps), plan).run().average


class Segmentation(Task):
    """Both lungs of varied images, each kind of image in its share."""

    def __init__(self, network: nn.Module, kinds: Sequence[tuple[Images, float]], *, seed: int) -> None:
        kinds = [(images, share) for images, share in kinds if len(images)]
        self.network = copy.deepcopy(network)
        self.kinds = [images for images, _ in kinds]
        self.shares = np.array([share for _, share in kinds]) / sum(share for _, share in kinds)
        self.rng, self.vary = np.random.default_rng(seed), Vary(seed=seed)

    def batch(self, loop: Loop) -> tuple[Tensor, Tensor]:
        return self.draw(loop.plan.batch)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Normalised images (N, 1, SIZE, SIZE) and masks."""
        drawn = self.rng.choice(len(self.kinds), count, p=self.shares)
        counts = zip(self.kinds, np.bincount(drawn, minlength=len(self.kinds)), strict=True)
        chosen = [kind.only(self.rng.integers(0, len(kind), count)) for kind, count in counts]
        joined = functools.reduce(operator.add, chosen)
        unit, lungs = self.vary(joined.images, joined.masks)
        return ((unit - MEAN) / STD).contiguous(memory_format=torch.channels_last), lungs

    def loss(self, outputs: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
        return loss_of(outputs.float(), batch[1])

    def settling_inputs(self, loop: Loop) -> Iterator[Tensor]:
        return (self.batch(loop)[0] for _ in range(min(loop.plan.steps, 16)))


def loss_of(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross entropy and, of each lung of each image, 1 - Dice."""
    found = logits.sigmoid()
    overlap = 2 * (found * masks).sum(dim=(2, 3)) + 1
    dice = overlap / (found.sum(dim=(2, 3)) + masks.sum(dim=(2, 3)) + 1)
    return functional.binary_cross_entropy_with_logits(logits, masks) + (1 - dice).mean()


def own_masks(segmenter: nn.Module, images: Images) -> Images:
    """The images on which two views agree about two plausible lungs, their masks the views' mean."""
    views = [masks_of(segmenter, images.images, view=view) for view in ("plain", "mirrored")]
    kept, masks = [], []
    for index, (plain, mirrored) in enumerate(zip(*views, strict=True)):
        one, other, mean = lungs_of(plain), lungs_of(mirrored), lungs_of((plain + mirrored) / 2)
        areas = mean.mean(axis=(1, 2))
        plausible = ((areas > PLAUSIBLE[0]) & (areas < PLAUSIBLE[1])).all()
        if plausible and min(map(dice, one, other)) >= AGREEMENT:
            kept.append(index)
            masks.append((resized(mean, images.images.shape[1:]) >= 0.5) * np.uint8(255))
    chosen = images.only(kept)
    return replace(chosen, masks=np.stack(masks) if masks else chosen.masks)


def save(path: Path, state: Mapping[str, Tensor], storage: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors_numpy.save_file(stored(state, storage), path)


def load(path: str | Path) -> dict[str, Tensor]:
    """The float32 state of a file that this command wrote, for `weights.save_artifact(segmenter=...)`."""
    return restored(safetensors_numpy.load_file(path))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, Config)


def run(args: argparse.Namespace) -> int:
    try:
        print(json.dumps(train(options_in(args, Config))))
    except (ValueError, OSError) as error:
        print(f"training failed: {error}", file=sys.stderr)
        return 1
    return 0
