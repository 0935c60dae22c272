"""The training loop of all networks; a `Task` adds the batches, the loss and the validation of one."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from classifier.training import checkpoint
from classifier.training.checkpoint import State
from classifier.training.distributed import Distributed
from classifier.training.optim import lr_factor, optimiser_for, update_average
from classifier.training.run_log import RunLog

NOTE_SECONDS = 30
MAIN_SCORE = "val_loss"
SWA_FROM = 0.75  # share of the training after which weights are averaged evenly


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train; with `max_minutes` the schedules follow the clock."""

    steps: int
    epoch_steps: int  # between two validations and checkpoints
    batch: int
    lr: float
    title: str = "epoch"
    max_minutes: float | None = None
    patience: float = math.inf  # epochs without a better score
    warmup: float = 0.05  # share of the training in which the learning rate rises
    optimiser: str = "adamw"
    weight_decay: float = 0.02
    clip: float | None = None  # largest norm of the gradient
    ema: float | None = None  # decay of the moving average of the weights, which is then what is kept
    average: str = "ema"  # or swa: instead the even average of the last part (Izmailov et al. 2018)
    precision: str = "fp32"  # or bf16, or auto: bf16 on CUDA
    note_steps: int | None = None  # default: a note every NOTE_SECONDS


class Task:
    """What a network learns: its batches and its loss. A subclass overrides what it needs.

    `network` is what is trained; all of its parameters are optimised. `scores` names what `validate` returns.
    """

    network: nn.Module
    scores: tuple[str, ...] = ()
    identity = ""  # a checkpoint with another one is refused

    def start_epoch(self, loop: Loop) -> None:
        """Seed what is drawn in `loop.epoch`, so that a resumed run draws what an uninterrupted one would."""

    def start_step(self, loop: Loop) -> None:
        """Before each step, with the network in training mode."""

    def batch(self, loop: Loop) -> Any:
        """The next batch, on the device: by default (inputs, targets)."""
        raise NotImplementedError

    def forward(self, model: nn.Module, batch: Any) -> Any:
        """Outputs of the model, under autocast."""
        return model(batch[0])

    def loss(self, outputs: Any, batch: Any) -> Tensor:
        return functional.cross_entropy(outputs.float(), batch[1])

    def settling_inputs(self, loop: Loop) -> Iterable[Tensor]:
        """Inputs on which the batch norms of the averaged network are measured."""
        raise NotImplementedError

    def is_final(self, loop: Loop) -> bool:
        """Whether this epoch's averaged weights may be the result."""
        return True

    def validate(self, loop: Loop) -> Mapping[str, float]:
        return {}

    def facts(self, loop: Loop) -> dict[str, Any]:
        """What else the log notes of an epoch."""
        return {}

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass


class Loop:
    """The state of one training: `run` it, then take `result`.

    `on_score` is called with each epoch's number and validation loss, and may end the training by raising.
    """

    def __init__(
        self,
        task: Task,
        plan: Plan,
        *,
        processes: Distributed | None = None,
        log: RunLog | None = None,
        checkpoint: Path | None = None,
        on_score: Callable[[int, float], None] | None = None,
    ) -> None:
        self.task, self.plan, self.checkpoint, self.on_score = task, plan, checkpoint, on_score
        self.processes, self.log = processes or Distributed("cpu"), log or RunLog()
        self.device = self.processes.device
        bf16 = plan.precision == "bf16" or (plan.precision == "auto" and self.device.type == "cuda")
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)
        self.network = task.network.to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval() if plan.ema else None
        optimiser = optimiser_for(
            self.network, lr=plan.lr, weight_decay=plan.weight_decay, name=plan.optimiser
        )
        self.model, self.optimiser = self.processes.setup(self.network, optimiser)
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.averaged = 0  # steps in the even average
        self.best: dict[str, Tensor] | None = None
        self.best_loss, self.stale = math.inf, 0
        self.epoch_loss = 0.0  # mean of the last epoch

    @property
    def progress(self) -> float:
        """0 at the start to 1 at the end: the share of the steps or, if greater, of the time limit."""
        by_step = self.step / self.plan.steps
        by_time = self.seconds / (self.plan.max_minutes * 60) if self.plan.max_minutes else 0.0
        return max(by_step, by_time)

    @property
    def kept(self) -> nn.Module:
        """The network whose weights are kept: the moving average, where there is one."""
        return self.network if self.average is None else self.average

    @property
    def result(self) -> dict[str, Tensor]:
        return self.best or self.kept.state_dict()

    def run(self) -> Loop:
        while self.progress < 1 and self.stale < self.plan.patience:
            self.run_epoch()
            self.end_epoch()
            self.save()
        return self

    def run_epoch(self) -> None:
        """The steps of one epoch, or fewer when the time limit is reached."""
        self.task.start_epoch(self)
        noted, since, first = time.monotonic(), self.step, self.step
        total = torch.zeros((), device=self.device)
        several = self.plan.steps > self.plan.epoch_steps
        title = f"{self.plan.title} {self.epoch + 1}" if several else self.plan.title
        with self.log.bar(title, self.plan.epoch_steps * self.plan.batch) as bar:
            while self.step - first < self.plan.epoch_steps and self.progress < 1:
                began = time.monotonic()
                loss = self.learn(self.task.batch(self))
                total = total + loss
                self.step += 1
                (self.seconds,) = self.processes.broadcast(self.seconds + time.monotonic() - began)
                bar.update(self.plan.batch)
                if self._note_due(noted):
                    rate = (self.step - since) * self.plan.batch / max(time.monotonic() - noted, 1e-6)
                    facts = {"step": self.step, "loss": loss.item(), "images_per_second": rate}
                    self.log.note("progress", progress=self.progress, **facts)
                    noted, since = time.monotonic(), self.step
        self.epoch_loss = (total / max(1, self.step - first)).item()
        self.epoch += 1

    def _note_due(self, noted: float) -> bool:
        if self.plan.note_steps:
            return self.step % self.plan.note_steps == 0
        return time.monotonic() - noted > NOTE_SECONDS

    def learn(self, batch: Any) -> Tensor:
        """One step of the optimiser; returns the loss, which stays on the device."""
        self.network.train()
        self.task.start_step(self)
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.lr * lr_factor(self.progress, self.plan.warmup)
        with self.autocast:
            outputs = self.task.forward(self.model, batch)
        loss = self.task.loss(outputs, batch)
        self.optimiser.zero_grad(set_to_none=True)
        self.processes.backward(loss)
        if self.plan.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.clip)
        self.optimiser.step()
        if self.average is not None:
            update_average(self.average, self.network, self._decay())
        return loss.detach()

    def _decay(self) -> float:
        """The share of the averaged weights that this step keeps."""
        if self.plan.average == "ema":
            return min(self.plan.ema, (1 + self.step) / (10 + self.step))
        if self.progress < SWA_FROM:
            return 0.0
        self.averaged += 1
        return 1 - 1 / self.averaged

    def end_epoch(self) -> None:
        """Validate the weights so far; keep them if they are the best."""
        began, final = time.monotonic(), self.task.is_final(self)
        scores = dict.fromkeys(self.task.scores, 0.0)
        if self.processes.is_main:
            if self.average is not None and final:
                # Averaged weights have other activations (Izmailov et al. 2018).
                update_bn(self.task.settling_inputs(self), self.average)
            scores |= self.task.validate(self)
        seconds = self.seconds + time.monotonic() - began
        self.seconds, *values = self.processes.broadcast(seconds, *scores.values())
        scores = dict(zip(scores, values, strict=True))
        if MAIN_SCORE in scores:
            if final:
                self._keep_if_best(scores[MAIN_SCORE])
            facts = {"progress": self.progress, "minutes": self.seconds / 60, **self.task.facts(self)}
            self.log.note("epoch", epoch=self.epoch, **facts, loss=self.epoch_loss, **scores)
            if self.on_score:
                self.on_score(self.epoch, scores[MAIN_SCORE])

    def _keep_if_best(self, loss: float) -> None:
        self.stale += 1
        if loss < self.best_loss:
            self.best_loss, self.stale = loss, 0
            self.best = {name: tensor.clone() for name, tensor in self.kept.state_dict().items()}

    def save(self) -> None:
        if not (self.checkpoint and self.processes.is_main):
            return
        kept = ("epoch", "step", "seconds", "best_loss", "stale", "averaged")
        facts = {key: getattr(self, key) for key in kept}
        states: dict[str, State] = {"network": self.network.state_dict(), "best": self.best or {}}
        states["average"] = {} if self.average is None else self.average.state_dict()
        states["optimiser"] = checkpoint.optimiser_tensors(self.optimiser)
        states["task"] = self.task.state()
        checkpoint.save(self.checkpoint, states, {"identity": self.task.identity, **facts})

    def restore(self) -> None:
        """Resume from the checkpoint, if there is one; raises ValueError when it is of another model."""
        if not (self.checkpoint and self.checkpoint.exists()):
            return
        states, facts = checkpoint.load(self.checkpoint)
        if facts.pop("identity", None) != self.task.identity:
            raise ValueError(f"{self.checkpoint} belongs to another model: choose another --out")
        self.network.load_state_dict(states["network"])
        if self.average is not None:
            self.average.load_state_dict(states["average"])
        checkpoint.load_optimiser(self.optimiser, states["optimiser"])
        self.task.restore(states["task"])
        self.best = states["best"] or None
        for key, value in facts.items():
            setattr(self, key, value)
