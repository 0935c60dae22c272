"""Batched prediction: working images in, predictions with class activation maps out."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from classifier.artifact.weights import Artifact
from classifier.contract import ENGINES, NORMAL, Cam, Prediction, leading_finding, predict_from, reported
from classifier.inference.auxiliary import AuxiliaryNetworks, AuxiliaryResult
from classifier.inference.engines.choose import TOLERANCE, Choice, Wanted, choose
from classifier.inference.engines.engine import Outputs, PyTorch, deterministic, reduced_dtype
from classifier.networks.feature_measures import load_feature_measures
from classifier.networks.other_abnormality import load_other_abnormality
from classifier.networks.preprocess import Box, grid_to_original, moved, to_input
from classifier.networks.registry import head_of
from classifier.result_warnings import SHIFT, Measures

log = logging.getLogger(__name__)

BAD_IMAGE = "bad_image"
OUT_OF_MEMORY = "out_of_memory"
INFERENCE_FAILED = "inference_failed"
PRECISIONS = ("fp32", "auto")
CALIBRATION = 32  # inputs that an engine is held to


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
    no probability of a test batch changes by more than TOLERANCE; "fp32" excludes TF32 too. Of several
    `engine`s "auto" takes the fastest that agrees (`engines.choose`), and keeps exported networks and its
    choice in `engine_folder`. The batch size is halved permanently when memory runs out. The network of the
    artifact is moved, and kept as `fp32_network`.
    """

    def __init__(
        self,
        artifact: Artifact,
        device: str = "cpu",
        precision: str = "fp32",
        *,
        batch_size: int = 16,
        engine: str = "pytorch",
        engine_folder: Path | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"unknown precision {precision!r}, not one of {PRECISIONS}")
        if engine not in ENGINES:
            raise ValueError(f"unknown engine {engine!r}, not one of {ENGINES}")
        self.artifact = artifact
        self.spec = artifact.spec
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.auxiliary = AuxiliaryNetworks(artifact, self.device)
        channels = head_of(artifact.network, self.spec).in_features
        self.other_abnormality = load_other_abnormality(artifact.other_abnormality, channels)
        self.measures = load_feature_measures(artifact.warning_limits, channels, len(self.spec.findings))
        self.fp32_network = artifact.network.eval().to(self.device, memory_format=torch.channels_last)
        reduced = precision == "auto"
        wanted = Wanted(engine, reduced, batch_size, artifact.sha256, engine_folder)
        self.choice = self._choose(wanted)
        self.engine = self.choice.engine
        self.network = self.engine.network if isinstance(self.engine, PyTorch) else self.fp32_network
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

    def forward(self, batch: Tensor) -> Outputs:
        """The outputs for a batch (N, 1, size, size)."""
        return self.engine(batch)

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

    def _choose(self, wanted: Wanted) -> Choice:
        exact = PyTorch(self.fp32_network, self.spec, self.device)
        dtype = reduced_dtype(self.device) if wanted.reduced else None
        if wanted.name != "pytorch" and self.device.type == "cpu":
            return choose(exact, wanted, self._calibration())
        if dtype is None:
            return Choice(exact)
        probe = self._probe()
        reduced = PyTorch(self.fp32_network, self.spec, self.device, dtype)
        change = np.abs(reduced(probe).probabilities - exact(probe).probabilities).max()
        if change <= TOLERANCE:
            return Choice(reduced)
        log.info("using fp32: %s changes a probability by more than %s", dtype, TOLERANCE)
        return Choice(exact)

    def _calibration(self) -> Tensor:
        """Inputs (CALIBRATION, 1, size, size) to hold engines to: the probe, also changed in several ways."""
        probe = self._probe()
        variants = [probe, probe.flip(3), moved(probe, SHIFT), 1.5 * probe, probe.flip(2), -probe]
        return torch.cat(variants).repeat(-(-CALIBRATION // (len(variants) * len(probe))), 1, 1, 1)[
            :CALIBRATION
        ]


def _invalid(working: np.ndarray) -> Failure | None:
    if not (isinstance(working, np.ndarray) and working.ndim == 2 and working.dtype == np.uint16):
        return Failure(BAD_IMAGE, "not a grey uint16 image")
    return None if working.size else Failure(BAD_IMAGE, "the image has no pixels")


def failure_of(error: RuntimeError) -> Failure:
    """The failure for an error of torch that did not end the process."""
    exhausted = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
    return Failure(OUT_OF_MEMORY if exhausted else INFERENCE_FAILED, str(error))
