"""Warm, batched prediction: working images in; predictions with their class activation maps out."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from classifier.artifact.weights import Artifact
from classifier.contract import Cam, Prediction, predict_from, worth_showing
from classifier.inference.auxiliary import Companions, Seen
from classifier.networks.cam import cam_of
from classifier.networks.preprocess import Box, grid_to_original, to_input
from classifier.networks.registry import probabilities_of

log = logging.getLogger(__name__)

BAD_IMAGE = "bad_image"
OUT_OF_MEMORY = "out_of_memory"
INFERENCE_FAILED = "inference_failed"
PRECISIONS = ("fp32", "auto")
TOLERANCE = 0.01  # the most that a reduced precision may move a probability


@dataclass(frozen=True)
class Input:
    """A working image (H, W) uint16, (rows, columns) of the original, the patient's age in years or None."""

    working: np.ndarray
    original: tuple[int, int]
    age: float | None = None


@dataclass(frozen=True)
class Answer:
    """What the model says of a box of one image; `seconds` is its share of the batch's time.

    `pooled` (channels,) float32 are the features that the head saw.
    """

    prediction: Prediction
    cam: Cam
    box: Box
    seconds: float
    pooled: np.ndarray


@dataclass(frozen=True)
class Failure:
    """Why one image got no answer: `code` is one of this module's constants, `message` is for the log."""

    code: str
    message: str


# Probabilities (findings,), grids (findings, h, w), pooled features (channels,), what the companions saw.
Output = tuple[np.ndarray, np.ndarray, np.ndarray, Seen] | Failure


class Predictor:
    """One artifact, warm on one device; every call answers each item in its place, by Answer or Failure.

    `precision` "fp32" is exact (no TF32); "auto" runs the convolutions in bfloat16 or float16 where the
    device has units for it and no probability of a probe moves by more than 0.01. A batch that does not fit
    into memory is halved, for good. The artifact's network is taken over, as `exact_network`.
    """

    def __init__(
        self, artifact: Artifact, device: str = "cpu", precision: str = "fp32", *, batch_size: int = 16
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"unknown precision {precision!r}, not one of {PRECISIONS}")
        self.artifact = artifact
        self.spec = artifact.spec
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.dtype = torch.float32
        self.companions = Companions(artifact, self.device)
        self.network = artifact.network.eval().to(self.device, memory_format=torch.channels_last)
        self.exact_network = self.network
        if precision == "auto":
            self._reduce_precision()
        self.forward(self._probe()[:1])

    def predict(self, items: Sequence[Input]) -> list[Answer | Failure]:
        """One Answer or Failure per item, in order; an item that cannot be read fails alone."""
        unfit = {index: _unfit(item.working) for index, item in enumerate(items)}
        answers: dict[int, Answer | Failure] = {index: failure for index, failure in unfit.items() if failure}
        waiting = [index for index in unfit if index not in answers]
        while waiting:
            chunk, waiting = waiting[: self.batch_size], waiting[self.batch_size :]
            started = time.perf_counter()
            outputs = self._infer([items[index].working for index in chunk])
            seconds = (time.perf_counter() - started) / len(chunk)
            for index, output in zip(chunk, outputs, strict=True):
                answers[index] = self._answer(items[index], output, seconds)
        return [answers[index] for index in range(len(items))]

    def _infer(self, working: list[np.ndarray]) -> list[Output]:
        """What the networks say of a batch; what fails is halved until the culprit stands alone."""
        try:
            with exact(self.device):
                seen = self.companions.look(working)
            images = zip(working, seen, strict=True)
            batch = torch.stack([to_input(decoded, self.spec, found.box) for decoded, found in images])
            return list(zip(*self.forward(batch), seen, strict=True))
        except torch.AcceleratorError:
            raise  # the device itself is lost: no other item can be answered in this process
        except RuntimeError as error:
            exhausted = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
            message = str(error)
        if len(working) == 1:  # outside the handler, whose traceback keeps the batch's memory
            log.warning("inference failed on one image: %s", message)
            return [Failure(OUT_OF_MEMORY if exhausted else INFERENCE_FAILED, message)]
        half = len(working) // 2
        if exhausted:
            self.batch_size = min(self.batch_size, half)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        return self._infer(working[:half]) + self._infer(working[half:])

    @torch.inference_mode()
    def forward(self, batch: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Batch (N, 1, size, size) to probabilities (N, findings), grids (N, findings, h, w) and pooled
        features (N, channels), float32."""
        batch = batch.to(self.device, self.dtype, memory_format=torch.channels_last)
        with exact(self.device):
            features = self.network.forward_features(batch).float()
            probabilities = probabilities_of(self.network.forward_head(features), self.spec)
            grids = cam_of(features, self.network, self.spec)
            pooled = features.mean(dim=(2, 3))
        return probabilities.cpu().numpy(), grids.cpu().numpy(), pooled.cpu().numpy()

    def _answer(self, item: Input, output: Output, seconds: float) -> Answer | Failure:
        if isinstance(output, Failure):
            return output
        probabilities, grids, pooled, seen = output
        if not (np.isfinite(probabilities).all() and np.isfinite(grids).all()):
            return Failure(INFERENCE_FAILED, "the network's output is not finite")
        named = dict(zip(self.spec.findings, probabilities.tolist(), strict=True))
        prediction = predict_from(self.spec, named, age=item.age, stopped=seen.stopped)
        shown = self.spec.findings.index(worth_showing(prediction.finding, named))
        cam = Cam(
            grids=dict(zip(self.spec.findings, grids.tolist(), strict=True)),
            affine=grid_to_original(grids.shape[1:], item.original, seen.box),
            scale=self.spec.cam_scale,
            inside_lungs=seen.inside_lungs(grids[shown]),
        )
        return Answer(prediction, cam, seen.box, seconds, pooled)

    def _probe(self) -> Tensor:
        """A fixed batch to warm up with and to compare precisions on: the golden inputs, or else noise."""
        if self.artifact.golden is not None:
            return torch.stack([to_input(image, self.spec) for image in self.artifact.golden.working[:8]])
        noise = torch.Generator().manual_seed(0)
        return torch.randn(2, 1, self.spec.size, self.spec.size, generator=noise)

    def _reduce_precision(self) -> None:
        dtype = quick_dtype(self.device)
        if dtype is None:
            return
        probe = self._probe()
        expected, *_ = self.forward(probe)
        self.network, self.dtype = with_convolutions_in(self.exact_network, dtype), dtype
        found, *_ = self.forward(probe)
        if not np.abs(found - expected).max() <= TOLERANCE:
            log.info("precision stays fp32: %s moves a probability by more than %s", dtype, TOLERANCE)
            self.network, self.dtype = self.exact_network, torch.float32


def _unfit(working: np.ndarray) -> Failure | None:
    if not (isinstance(working, np.ndarray) and working.ndim == 2 and working.dtype == np.uint16):
        return Failure(BAD_IMAGE, "not a grey uint16 image")
    return None if working.size else Failure(BAD_IMAGE, "an image without pixels")


def quick_dtype(device: torch.device) -> torch.dtype | None:
    """The reduced type that the device has matrix units for, None when fp32 is as quick."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16"):
        return torch.bfloat16  # AVX-512's bfloat16 alone is slower than fp32
    return None


def with_convolutions_in(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy whose convolutions compute in `dtype`; norms and the head stay float32."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(dtype)
    return network


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """No TF32 and no timing-dependent choice of algorithm: the same numbers from run to run."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
