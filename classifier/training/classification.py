"""The classifier's part of the training loop: draws, augmentation, loss and validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.contract import ModelSpec
from classifier.data.augment import Augment
from classifier.data.image_cache import CachedImages
from classifier.data.manifest import draw_weights
from classifier.data.teacher import read_teacher
from classifier.networks.preprocess import normalise
from classifier.networks.registry import ARCHITECTURES, probabilities_of
from classifier.training.checkpoint import State
from classifier.training.config import Config
from classifier.training.dataset import Part, by_source
from classifier.training.evidence import EvidenceLoss
from classifier.training.loop import Loop, Plan, Task
from classifier.training.loss import ClassificationLoss, distillation_of, rarity_weights
from classifier.training.optim import freeze, image_size_at

SETTLING_BATCHES = 16

# Inputs, targets, rows of the training part, and their regions (see `evidence.EvidenceLoss`).
Batch = tuple[Tensor, Tensor, Tensor, Tensor | None]
Outputs = tuple[Tensor, Tensor | None]  # logits, features


class Classification(Task):
    """Findings of the training part's images; validated on the validation part."""

    scores = ("val_loss", "val_balanced_accuracy")

    def __init__(
        self,
        config: Config,
        spec: ModelSpec,
        network: nn.Module,
        parts: Mapping[str, Part],
        device: torch.device,
    ) -> None:
        self.config, self.spec, self.network, self.device = config, spec, network, device
        self.identity, self.head = spec.to_json(), ARCHITECTURES[spec.arch].head
        self.train, self.val = parts["train"], parts["val"]
        self.images, self.val_images = (
            CachedImages(part.images, part.index, device) for part in (self.train, self.val)
        )
        self.targets = torch.from_numpy(self.train.targets).to(device)
        self.weights = draw_weights(
            self.train.rows,
            source_balance=config.source_balance,
            even=config.balance == "draw",
            source_weight=by_source(config.source_weight),
        )
        noise = by_source(config.label_noise)
        smoothing = [noise.get(row.source, config.label_smoothing) for row in self.train.rows]
        self.criterion = ClassificationLoss(
            spec,
            [row.stratum for row in self.train.rows],
            weights=rarity_weights(self.targets.cpu()) if config.balance == "weight" else None,
            device=device,
            loss=config.loss,
            smoothing=torch.tensor(smoothing),
            robust=config.group_robust,
        )

        self.teacher = self._teacher()
        self.evidence = EvidenceLoss(spec, network) if config.box_loss else None
        regions = self.train.regions
        self.regions = None if regions is None else torch.from_numpy(regions).to(device)

    def _teacher(self) -> Tensor | None:
        if self.config.teacher is None:
            return None
        if self.spec.activation != "softmax":
            raise ValueError("--teacher requires --activation softmax")
        predictions = read_teacher(self.config.teacher, self.train.rows, self.spec.findings)
        return torch.from_numpy(predictions).to(self.device)

    @property
    def plan(self) -> Plan:
        config = self.config
        epoch_steps = -(-(config.epoch_images or len(self.train.rows)) // config.batch)
        own = {"steps": config.epochs * epoch_steps, "epoch_steps": epoch_steps}
        shared = [field.name for field in fields(Plan) if hasattr(config, field.name)]
        return Plan(**own, **{name: getattr(config, name) for name in shared})

    def size(self, loop: Loop) -> int:
        """Side of the training images now."""
        return image_size_at(loop.progress, self.config.size) if self.config.progressive else self.config.size

    def start_epoch(self, loop: Loop) -> None:
        rng = np.random.default_rng((self.config.seed, loop.epoch))
        seed = self.config.seed * 100_003 + loop.epoch
        torch.manual_seed(seed)  # of dropout
        self.augment = Augment(
            seed=seed + loop.processes.rank,
            flip=self.config.flip,
            strength=self.config.augment,
            device=self.device,
        )
        drawn = rng.choice(len(self.weights), loop.plan.epoch_steps * self.config.batch, p=self.weights)
        self.drawn = iter(drawn.reshape(-1, self.config.batch))

    def start_step(self, loop: Loop) -> None:
        freeze(self.network, frozen=loop.progress < self.config.freeze, head=self.head)

    def batch(self, loop: Loop) -> Batch:
        chosen = loop.processes.shard(next(self.drawn))
        targets, rows = self.targets_of(chosen)
        unit, regions = self.images(chosen), None
        if self.regions is None:
            unit = self.augment(unit)
        else:
            unit, regions = self.augment.with_masks(unit, self.regions[rows].float() / 255)
        return self.inputs(unit, self.size(loop)), targets, rows, regions

    def targets_of(self, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        rows = torch.from_numpy(chosen).to(self.device, non_blocking=True)
        return self.targets[rows], rows

    def inputs(self, unit: Tensor, size: int) -> Tensor:
        """Images in 0..1 (n, 1, h, w) as network inputs (n, 1, size, size)."""
        if size != unit.shape[-1]:
            unit = functional.interpolate(unit, size=(size, size), mode="bilinear", antialias=True)
        return normalise(unit, self.spec).contiguous(memory_format=torch.channels_last)

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        if self.evidence is None:
            return model(batch[0]), None
        with self.evidence.features() as found:
            return model(batch[0]), found[0]

    def loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        (logits, features), (_, targets, rows, regions) = outputs, batch
        loss = self.criterion(logits.float(), targets, rows)
        if self.teacher is not None:
            taught = distillation_of(logits.float(), self.teacher[rows], self.config.teacher_temperature)
            loss = loss + self.config.teacher_weight * (taught.mean() - loss)
        if features is None or self.evidence is None or regions is None:
            return loss
        return loss + self.config.box_loss * self.evidence(features, targets, regions)

    def is_final(self, loop: Loop) -> bool:
        return self.size(loop) == self.config.size

    def settling_inputs(self, loop: Loop) -> Iterator[Tensor]:
        rng = np.random.default_rng((self.config.seed, loop.epoch, 1))
        drawn = rng.choice(len(self.weights), (SETTLING_BATCHES, self.config.batch), p=self.weights)
        return (normalise(self.images(chosen), self.spec) for chosen in drawn)

    @torch.inference_mode()
    def validate(self, loop: Loop) -> dict[str, float]:
        """Log loss and recall, each the mean over the findings, so that rare ones count equally."""
        found = []
        for start in range(0, len(self.val.rows), self.config.batch):
            chosen = np.arange(start, min(start + self.config.batch, len(self.val.rows)))
            inputs = self.inputs(self.val_images(chosen), self.size(loop))
            with loop.autocast:
                found.append(probabilities_of(loop.kept(inputs), self.spec).cpu().numpy())
        probabilities, targets = np.concatenate(found), self.val.targets
        sure = np.clip(np.where(targets > 0, probabilities, np.nan), 1e-6, 1)
        loss = float(np.nanmean(np.nanmean(-np.log(sure), axis=0)))
        highest = probabilities == probabilities.max(axis=1, keepdims=True)
        recalls = [highest[targets[:, k] == 1, k].mean() for k in range(targets.shape[1])]
        return {"val_loss": loss, "val_balanced_accuracy": float(np.mean(recalls))}

    def facts(self, loop: Loop) -> dict[str, int]:
        return {"size": self.size(loop)}

    def state(self) -> State:
        return self.criterion.state()

    def restore(self, state: State) -> None:
        self.criterion.restore(state)
