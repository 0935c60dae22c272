"""Chooses the engine of a network: the fastest that gives the results of PyTorch in single precision."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from classifier.inference.engines import exported
from classifier.inference.engines.engine import PRECISIONS, Engine, Outputs, PyTorch, reduced_dtype

log = logging.getLogger(__name__)

TOLERANCE = 0.01  # largest change of a probability
MAP_CORRELATION = 0.99
POOLED_ERROR = 0.02  # of the length of the pooled features: distances and other scores are made of them
CHECKED_AGAIN = 8  # inputs that a kept choice is held to
SECONDS = 1.0  # of timing for each candidate
LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Figures:
    """How one candidate did: images a second alone and in a full batch; `refused`: why it may not serve."""

    engine: str
    precision: str
    alone: float = 0.0
    batched: float = 0.0
    refused: str = ""

    @property
    def speed(self) -> float:
        """Single images and full batches count the same."""
        return (self.alone * self.batched) ** 0.5


@dataclass(frozen=True)
class Choice:
    """The engine that serves, and the figures of all candidates (none where there was nothing to choose)."""

    engine: Engine
    figures: tuple[Figures, ...] = ()

    def as_dict(self) -> dict[str, object]:
        return {
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "candidates": [asdict(one) for one in self.figures],
        }


@dataclass(frozen=True)
class Wanted:
    """What the engine is for: `name` is one of `contract.ENGINES`; `reduced` allows bf16 and fp16."""

    name: str
    reduced: bool
    batch_size: int
    sha256: str
    folder: Path | None = None


def choose(reference: PyTorch, wanted: Wanted, inputs: Tensor) -> Choice:
    """The engine for the network of `reference`, held to it on `inputs` (N, channels, size, size).

    With `auto` every candidate that agrees is timed, and choice and figures are kept in `wanted.folder` for
    the same file, libraries and processor. A named engine that is not installed or does not agree gives way
    to PyTorch, with a line in the log.
    """
    if wanted.name == "pytorch" or reference.device.type != "cpu":
        return Choice(reference)
    with tempfile.TemporaryDirectory() as scratch:
        folder = wanted.folder or Path(scratch)
        makers = _candidates(reference, wanted, folder, inputs.shape[1])
        kept = _kept(wanted, folder)
        few = inputs[:CHECKED_AGAIN]
        if kept and (engine := _made(makers, kept[0], few, reference(few))[0]):
            return Choice(engine, kept)
        figures, engines, expected = [], {}, reference(inputs)
        for key in makers:
            engine, refused = _made(makers, Figures(*key), inputs, expected)
            figures.append(Figures(*key, refused=refused))
            if engine is not None:
                engines[key] = engine
        found = tuple(sorted(_timed(figures, engines, inputs, wanted), key=lambda one: -one.speed))
        best = found[0]
        for one in found:
            if one.refused:
                log.warning("engine %s %s does not serve: %s", one.engine, one.precision, one.refused)
        _keep(wanted, folder, found)
        return Choice(engines[best.engine, best.precision], found)


Makers = Mapping[tuple[str, str], Callable[[], Engine]]


def _candidates(reference: PyTorch, wanted: Wanted, folder: Path, channels: int) -> Makers:
    """How to make each candidate, by engine and precision; PyTorch in single precision always is one."""
    threads = torch.get_num_threads()
    path = folder / f"{wanted.sha256 or 'unsaved'}-{torch.__version__}.onnx"

    def graph() -> Path:
        if path.is_file():
            path.touch()  # what is not used for long is swept
        else:
            exported.export(reference.serving, channels, path)
        return path

    makers: dict[tuple[str, str], Callable[[], Engine]] = {("pytorch", "fp32"): lambda: reference}
    dtype = reduced_dtype(reference.device) if wanted.reduced and wanted.name == "auto" else None
    if dtype is not None:
        reduced = partial(PyTorch, reference.network, reference.serving.spec, reference.device, dtype)
        makers["pytorch", PRECISIONS[dtype]] = reduced

    def make(engine: str, precision: str) -> Engine:
        return exported.of_graph(engine, precision, graph(), threads)

    for of in exported.available(wanted.name, reduced=wanted.reduced):
        makers[of] = partial(make, *of)
    return makers


def _made(
    makers: Makers, of: Figures, inputs: Tensor, expected: Outputs
) -> tuple[Engine, str] | tuple[None, str]:
    """The candidate, or None and why it may not serve. An engine that fails, in whatever way, is not used."""
    make = makers.get((of.engine, of.precision))
    if make is None:
        return None, "not installed"
    try:
        engine = make()
        difference = disagreement(expected, engine(inputs))
    except Exception as error:
        log.warning("engine %s %s failed", of.engine, of.precision, exc_info=True)
        return None, type(error).__name__
    return (None, difference) if difference else (engine, "")


def disagreement(expected: Outputs, found: Outputs) -> str:
    """In what the outputs differ too much to serve; empty if in nothing."""
    if not all(np.isfinite(output).all() for output in found):
        return "values that are not finite"
    change = float(np.abs(found.probabilities - expected.probabilities).max())
    if change > TOLERANCE:
        return f"a probability changes by {change:.3f}"
    if (np.argsort(found.probabilities) != np.argsort(expected.probabilities)).any():
        return "the order of findings changes"
    lowest = min(map(_correlation, _rows(expected.grids), _rows(found.grids)))
    if lowest < MAP_CORRELATION:
        return f"a heatmap correlates with {lowest:.3f} only"
    lengths = np.linalg.norm(expected.pooled, axis=1)
    error = float((np.linalg.norm(found.pooled - expected.pooled, axis=1) / np.maximum(lengths, 1e-9)).max())
    return f"pooled features change by {error:.3f}" if error > POOLED_ERROR else ""


def _rows(grids: np.ndarray) -> np.ndarray:
    rows: np.ndarray = grids.reshape(-1, grids.shape[-2] * grids.shape[-1])
    return rows


def _correlation(expected: np.ndarray, found: np.ndarray) -> float:
    if np.abs(found - expected).max() <= 1e-4:  # also of maps that are flat, or of one value
        return 1.0
    return float(np.corrcoef(expected, found)[0, 1])


def _timed(
    figures: list[Figures], engines: Mapping[tuple[str, str], Engine], inputs: Tensor, wanted: Wanted
) -> list[Figures]:
    """The figures with speeds, one after the other so that another program slows all alike."""
    if len(engines) == 1:
        return figures
    repeats = -(-wanted.batch_size // len(inputs))
    full = inputs.repeat(repeats, 1, 1, 1)[: wanted.batch_size]
    times: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in engines}
    started = time.perf_counter()
    while (
        time.perf_counter() - started < SECONDS * len(engines)
        or len(next(iter(times.values()))) < LEAST_ROUNDS
    ):
        for key, engine in engines.items():
            times[key].append((_seconds(engine, full[:1]), _seconds(engine, full)))
    return [
        replace(
            one,
            alone=1 / median(alone for alone, _ in times[one.engine, one.precision]),
            batched=len(full) / median(batch for _, batch in times[one.engine, one.precision]),
        )
        if (one.engine, one.precision) in engines
        else one
        for one in figures
    ]


def _seconds(engine: Engine, batch: Tensor) -> float:
    started = time.perf_counter()
    engine(batch)
    return time.perf_counter() - started


def _file(wanted: Wanted, folder: Path) -> Path:
    """Another processor, number of threads or version of a library asks for another choice."""
    facts = [
        torch.cpu.get_capabilities().get("cpu_name"),
        *(torch.get_num_threads(), wanted.name, wanted.reduced, wanted.batch_size, torch.__version__),
        *(exported.installed(package) for package in ("onnx", "onnxruntime", "openvino")),
    ]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return folder / f"{wanted.sha256}-{digest}.json"


def _kept(wanted: Wanted, folder: Path) -> tuple[Figures, ...]:
    """The figures of an earlier choice, best first; none where there is no readable one."""
    try:
        rows = json.loads(_file(wanted, folder).read_text())
        return tuple(Figures(**row) for row in rows)
    except (OSError, ValueError, TypeError):
        return ()


def _keep(wanted: Wanted, folder: Path, figures: tuple[Figures, ...]) -> None:
    """Without a place to keep it, the next start chooses again."""
    if wanted.folder is None or not wanted.sha256:
        return
    path = _file(wanted, folder)
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        draft.write_text(json.dumps([asdict(one) for one in figures]))
        os.replace(draft, path)
    except OSError as error:
        log.warning("the choice of an engine is not kept: %s", type(error).__name__)
