"""Batched prediction: working images in, predictions with class activation maps out."""

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
from classifier.contract import NORMAL, Cam, Prediction, leading_finding, predict_from, reported
from classifier.inference.auxiliary import AuxiliaryNetworks, AuxiliaryResult
from classifier.networks.cam import cam_of
from classifier.networks.feature_measures import load_feature_measures
from classifier.networks.other_abnormality import load_other_abnormality
from classifier.networks.preprocess import Box, grid_to_original, moved, to_input
from classifier.networks.registry import head_of, probabilities_of
from classifier.result_warnings import SHIFT, Measures

log = logging.getLogger(__name__)

BAD_IMAGE = "bad_image"
OUT_OF_MEMORY = "out_of_memory"
INFERENCE_FAILED = "inference_failed"
PRECISIONS = ("fp32", "auto")
TOLERANCE = 0.01  # largest change of a probability by reduced precision


@dataclass(frozen=True)
class Input:
    """A working image (H, W) uint16, (rows, columns) of the original, and what is known besides.

    `age` is the patient's in years; `dated` and `burned_in` are as in `classifier.result_warnings.Measures`.
    """

    working: np.ndarray
    original: tuple[int, int]
    age: float | None = None
    dated: str | None = None
    burned_in: bool = False


@dataclass(frozen=True)
class Result:
    """The prediction for one image, from the part in `box`; `seconds` is its share of the batch's time.

    `pooled` (channels,) float32 is the input of the head.
    """

    prediction: Prediction
    cam: Cam
    box: Box
    seconds: float
    pooled: np.ndarray


@dataclass(frozen=True)
class Failure:
    """Why there is no result for an image: `code` is a constant of this module, `message` is for the log."""

    code: str
    message: str


# Probabilities (findings,), grids (findings, h, w), pooled features (channels,), the finding reported for the
# moved image, auxiliary results.
Output = tuple[np.ndarray, np.ndarray, np.ndarray, str | None, AuxiliaryResult] | Failure


class Predictor:
    """One artifact, loaded on one device.

    With `precision` "auto", convolutions run in bfloat16 or float16 if the device supports it in hardware and
    no probability of a test batch changes by more than TOLERANCE; "fp32" excludes TF32 too. The batch size is
    halved permanently when memory runs out. The network of the artifact is moved, and kept as `fp32_network`.
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
        self.auxiliary = AuxiliaryNetworks(artifact, self.device)
        channels = head_of(artifact.network, self.spec).in_features
        self.other_abnormality = load_other_abnormality(artifact.other_abnormality, channels)
        self.measures = load_feature_measures(artifact.warning_limits, channels, len(self.spec.findings))
        self.network = artifact.network.eval().to(self.device, memory_format=torch.channels_last)
        self.fp32_network = self.network
        if precision == "auto":
            self._reduce_precision()
        self.forward(self._probe()[:1])

    def predict(self, items: Sequence[Input]) -> list[Result | Failure]:
        """One Result or Failure per item, in order; an invalid item does not affect the others."""
        invalid = {index: _invalid(item.working) for index, item in enumerate(items)}
        results: dict[int, Result | Failure] = {
            index: failure for index, failure in invalid.items() if failure
        }
        waiting = [index for index in invalid if index not in results]
        while waiting:
            chunk, waiting = waiting[: self.batch_size], waiting[self.batch_size :]
            started = time.perf_counter()
            outputs = self._infer([items[index].working for index in chunk])
            seconds = (time.perf_counter() - started) / len(chunk)
            for index, output in zip(chunk, outputs, strict=True):
                results[index] = self._result(items[index], output, seconds)
        return [results[index] for index in range(len(items))]

    def _infer(self, working: list[np.ndarray]) -> list[Output]:
        """The outputs for a batch; a failing batch is split until the failing image is found."""
        try:
            with deterministic(self.device):
                auxiliary = self.auxiliary.run(working)
            images = zip(working, auxiliary, strict=True)
            batch = torch.stack([to_input(decoded, self.spec, found.box) for decoded, found in images])
            outputs = self.forward(batch)
            return list(zip(*outputs, self._moved(batch, outputs[0], auxiliary), auxiliary, strict=True))
        except torch.AcceleratorError:
            raise  # the device itself is lost, and with it this process
        except RuntimeError as error:
            failure = failure_of(error)
        if len(working) == 1:  # outside the handler, whose traceback would keep the memory of the batch
            log.warning("inference failed on one image: %s", failure.message)
            return [failure]
        half = len(working) // 2
        if failure.code == OUT_OF_MEMORY:
            self.batch_size = min(self.batch_size, half)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        return self._infer(working[:half]) + self._infer(working[half:])

    @torch.inference_mode()
    def forward(self, batch: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Batch (N, 1, size, size) to probabilities (N, findings), grids (N, findings, h, w) and pooled
        features (N, channels), float32."""
        batch = batch.to(self.device, self.dtype, memory_format=torch.channels_last)
        with deterministic(self.device):
            features = self.network.forward_features(batch).float()
            probabilities = probabilities_of(self.network.forward_head(features), self.spec)
            grids = cam_of(features, self.network, self.spec)
            pooled = features.mean(dim=(2, 3))
        return probabilities.cpu().numpy(), grids.cpu().numpy(), pooled.cpu().numpy()

    def _moved(
        self, batch: Tensor, probabilities: np.ndarray, auxiliary: Sequence[AuxiliaryResult]
    ) -> list[str | None]:
        """The finding reported for each image moved by SHIFT, "" for none.

        None where the model has no limits, reports no finding other than `normal` or withholds it anyway.
        """
        found: list[str | None] = [None] * len(batch)
        if self.spec.warning_limits is None:
            return found
        positive = [
            at
            for at, (row, check) in enumerate(zip(probabilities, auxiliary, strict=True))
            if check.abstention is None and self._reported(row) not in ("", NORMAL)
        ]
        if positive:
            again, *_ = self.forward(moved(batch[positive], SHIFT))
            for at, row in zip(positive, again, strict=True):
                found[at] = self._reported(row)
        return found

    def _reported(self, probabilities: np.ndarray) -> str:
        return reported(self.spec, dict(zip(self.spec.findings, probabilities.tolist(), strict=True))) or ""

    def _result(self, item: Input, output: Output, seconds: float) -> Result | Failure:
        if isinstance(output, Failure):
            return output
        probabilities, grids, pooled, shifted, auxiliary = output
        if not (np.isfinite(probabilities).all() and np.isfinite(grids).all()):
            return Failure(INFERENCE_FAILED, "the network's output is not finite")
        by_finding = dict(zip(self.spec.findings, probabilities.tolist(), strict=True))
        leading = leading_finding(reported(self.spec, by_finding), by_finding)
        cam = Cam(
            grids=dict(zip(self.spec.findings, grids.tolist(), strict=True)),
            affine=grid_to_original(grids.shape[1:], item.original, auxiliary.box),
            scale=self.spec.cam_scale,
            inside_lungs=auxiliary.inside_lungs(grids[self.spec.findings.index(leading)]),
        )
        measures = Measures(
            other_abnormality=self.other_abnormality.score(pooled) if self.other_abnormality else None,
            inside_lungs=cam.inside_lungs,
            distance=float(self.measures.distance(pooled)) if self.measures else None,
            mirrored=float(self.measures.mirrored(pooled)) if self.measures else None,
            shifted=shifted,
            dated=item.dated,
            burned_in=item.burned_in,
        )
        prediction = predict_from(
            self.spec, by_finding, age=item.age, abstention=auxiliary.abstention, measures=measures
        )
        return Result(prediction, cam, auxiliary.box, seconds, pooled)

    def _probe(self) -> Tensor:
        """A fixed batch for warm-up and to compare precisions: the golden inputs, or noise."""
        if self.artifact.golden is not None:
            return torch.stack([to_input(image, self.spec) for image in self.artifact.golden.working[:8]])
        noise = torch.Generator().manual_seed(0)
        return torch.randn(2, 1, self.spec.size, self.spec.size, generator=noise)

    def _reduce_precision(self) -> None:
        dtype = reduced_dtype(self.device)
        if dtype is None:
            return
        probe = self._probe()
        expected, *_ = self.forward(probe)
        self.network, self.dtype = with_convolutions_as(self.fp32_network, dtype), dtype
        found, *_ = self.forward(probe)
        if not np.abs(found - expected).max() <= TOLERANCE:
            log.info("using fp32: %s changes a probability by more than %s", dtype, TOLERANCE)
            self.network, self.dtype = self.fp32_network, torch.float32


def _invalid(working: np.ndarray) -> Failure | None:
    if not (isinstance(working, np.ndarray) and working.ndim == 2 and working.dtype == np.uint16):
        return Failure(BAD_IMAGE, "not a grey uint16 image")
    return None if working.size else Failure(BAD_IMAGE, "the image has no pixels")


def failure_of(error: RuntimeError) -> Failure:
    """The failure for an error of torch that did not end the process."""
    exhausted = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
    return Failure(OUT_OF_MEMORY if exhausted else INFERENCE_FAILED, str(error))


def reduced_dtype(device: torch.device) -> torch.dtype | None:
    """The reduced type that the device supports in hardware; None if fp32 is as fast."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16"):
        return torch.bfloat16  # AVX-512's bfloat16 alone is slower than fp32
    return None


def with_convolutions_as(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy with convolutions in `dtype`; norms and the head stay float32."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(dtype)
    return network


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Without TF32 and timing-dependent algorithms, so that runs give the same numbers."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
