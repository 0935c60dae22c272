"""Images per second of each step: the best of several rounds, in which all variants alternate. Ratios are
relative to the ResNet-50 of torchvision (fp32, three channels) in the same run; only ratios are comparable
between machines.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from timeit import timeit
from typing import TYPE_CHECKING, Any

from classifier.cli.arguments import add_device_option, add_json_option

if TYPE_CHECKING:
    from classifier.artifact.weights import Artifact

BATCHES = (1, 8, 16)
REFERENCE = "torchvision resnet50 fp32"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_json_option(parser)
    add("--model", metavar="FILE", help="model file (default: an untrained ResNet50-v2)")
    add("--rounds", type=int, default=5, metavar="N", help="rounds to measure (default: 5)")
    add_device_option(parser)


def run(args: argparse.Namespace) -> int:
    from classifier.cli.models import usable_device

    report = measure(args.model, usable_device(args.device), rounds=max(args.rounds, 1))
    print(json.dumps(report) if args.json else table_of(report))
    return 0


def measure(model: str | None, device: str, *, rounds: int) -> dict[str, Any]:
    """Images per second by step and batch size, and their ratios to the reference at that batch size."""
    import torch

    variants, facts = variants_of(model, device)
    names = [
        (name, batch) for name in variants for batch in (BATCHES if name != "preprocess" else BATCHES[:1])
    ]
    best = dict.fromkeys(names, 0.0)
    for _ in range(rounds):
        for name, batch in names:
            best[name, batch] = max(
                best[name, batch], batch / timeit(partial(variants[name], batch), number=1)
            )
    speeds: dict[str, dict[str, float]] = {}
    for (name, batch), speed in best.items():
        speeds.setdefault(name, {})[str(batch)] = speed
    return facts | {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "images_per_second": speeds,
        "ratio": {
            name: {batch: speed / speeds[REFERENCE][batch] for batch, speed in by_batch.items()}
            for name, by_batch in speeds.items()
        },
    }


def variants_of(model: str | None, device: str) -> tuple[dict[str, Callable[[int], object]], dict[str, Any]]:
    """The timed functions of the batch size, and the facts of the setup."""
    import numpy as np
    import torch

    from classifier.inference.predictor import Predictor
    from classifier.networks.preprocess import to_input
    from classifier.networks.torchvision_ops import torchvision

    artifact = artifact_to_measure(model)
    spec = artifact.spec
    exact, auto = (Predictor(artifact, device=device, precision=precision) for precision in ("fp32", "auto"))
    reference = torchvision.models.resnet50().eval().to(device)
    images = torch.randn(max(BATCHES), 1, spec.size, spec.size)
    working = np.random.default_rng(0).integers(0, 65536, (1024, 1024), dtype=np.uint16)

    def plain(batch: int) -> object:
        with torch.inference_mode():
            return reference(images[:batch].expand(-1, 3, -1, -1).to(device)).cpu()

    variants = {
        REFERENCE: plain,
        "fp32 with every CAM": lambda batch: exact.forward(images[:batch]),
        "preprocess": lambda batch: to_input(working, spec),
    }
    reduced = auto.engine.precision
    if reduced != "fp32":
        variants[f"{reduced} with every CAM"] = lambda batch: auto.forward(images[:batch])
    facts = {"device": device_name(device), "model": spec.name, "size": spec.size, "auto_precision": reduced}
    return variants, facts


def artifact_to_measure(model: str | None) -> Artifact:
    from pathlib import Path

    from classifier.artifact.weights import Artifact
    from classifier.cli.models import usable_artifact
    from classifier.contract import ModelSpec, Slot
    from classifier.networks.registry import network_for

    if model is not None:
        return usable_artifact(Path(model))
    spec = ModelSpec(name="untrained", slot=Slot.CXR, findings=("normal", "pneumonia", "covid19"))
    return Artifact(spec=spec, network=network_for(spec).eval(), card={}, sha256="")


def device_name(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return str(torch.cpu.get_capabilities().get("cpu_name", "cpu"))


def table_of(report: dict[str, Any]) -> str:
    lines = [f"{report['device']}, {report['threads']} threads, torch {report['torch']}, {report['size']} px"]
    lines.append(f"{'images/s (ratio)':<28}" + "".join(f"{f'batch {batch}':>18}" for batch in BATCHES))
    for name, speeds in report["images_per_second"].items():
        cells = (f"{speed:.1f} ({report['ratio'][name][batch]:.2f})" for batch, speed in speeds.items())
        lines.append(f"{name:<28}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)
