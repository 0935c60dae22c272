"""Images per second of the network by each engine, in one run: medians of rounds in which all take turns.

`eager_fp32_ips` is the same network in PyTorch, single precision, contiguous; `forward_ips` the engine that
serves, probabilities alone; `predict_cam_ips` the same with the heatmap of every finding;
`gradcam_package_ips` the grad-cam package for the same heatmaps. Only ratios are comparable between machines.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from classifier.cli.arguments import add_device_option, add_json_option
from classifier.contract import ENGINES

if TYPE_CHECKING:
    from torch import Tensor

    from classifier.artifact.weights import Artifact
    from classifier.inference.engines.engine import PyTorch
    from classifier.inference.predictor import Predictor

EAGER, FORWARD, CAM, PACKAGE = "eager_fp32_ips", "forward_ips", "predict_cam_ips", "gradcam_package_ips"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_json_option(parser)
    add("--model", metavar="FILE", help="model file (default: an untrained ResNet50-v2)")
    add("--rounds", type=int, default=7, metavar="N", help="rounds to measure (default: 7)")
    add("--batch", type=int, default=8, metavar="N", help="images in a batch (default: 8)")
    add("--engine", choices=ENGINES, default="auto", help="what computes (default: auto, the fastest)")
    add("--precision", choices=("fp32", "auto"), default="fp32", help="auto: less where supported")
    add_device_option(parser)


def run(args: argparse.Namespace) -> int:
    from classifier.cli.models import usable_device

    report = measure(
        artifact_to_measure(args.model),
        usable_device(args.device),
        rounds=max(args.rounds, 1),
        batch=max(args.batch, 1),
        engine=args.engine,
        precision=args.precision,
    )
    print(json.dumps(report) if args.json else table_of(report))
    return 0


def measure(
    artifact: Artifact, device: str, *, rounds: int, batch: int, engine: str, precision: str
) -> dict[str, Any]:
    """Images per second and their ratios; None for an engine that is not installed."""
    import torch

    from classifier.inference.predictor import Predictor

    with tempfile.TemporaryDirectory() as folder:
        predictor = Predictor(
            artifact, device, precision, batch_size=batch, engine=engine, engine_folder=Path(folder)
        )
        images = torch.randn(batch, 1, predictor.spec.size, predictor.spec.size)
        speeds = speeds_of(variants_of(predictor, images, Path(folder)), batch, rounds)
    served = {"engine": predictor.engine.name, "precision": predictor.engine.precision}
    return {
        "device": device_name(device),
        "model": artifact.spec.name,
        "batch": batch,
        "size": artifact.spec.size,
        **served,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "rounds": rounds,
        **{name: speeds.get(name) for name in (EAGER, FORWARD, CAM, PACKAGE)},
        **{f"{name}_ips": speeds.get(f"{name}_ips") for name in ("onnxruntime", "openvino")},
        "cam_overhead": speeds[FORWARD] / speeds[CAM] - 1,
        "speedup_vs_eager": speeds[CAM] / speeds[EAGER],
        "speedup_vs_gradcam_package": speeds[CAM] / speeds[PACKAGE],
    }


def speeds_of(variants: Mapping[str, Callable[[], object]], batch: int, rounds: int) -> dict[str, float]:
    """Images per second, the median of the rounds; in each, one variant follows the other."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for step in variants.values():
        step()  # the first run of each allocates
    for _ in range(rounds):
        for name, step in variants.items():
            started = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - started)
    return {name: batch / median(taken) for name, taken in times.items()}


def variants_of(predictor: Predictor, images: Tensor, folder: Path) -> dict[str, Callable[[], object]]:
    """What is timed, by the name of its figure."""
    import torch

    from classifier.inference.engines import exported
    from classifier.inference.engines.engine import Probabilities, PyTorch

    spec, device = predictor.spec, predictor.device
    exact = PyTorch(predictor.fp32_network, spec, device)
    eager = copy.deepcopy(predictor.fp32_network).to(memory_format=torch.contiguous_format)
    plain = Probabilities(eager, spec)

    @torch.inference_mode()
    def contiguous() -> object:
        return plain(images.to(device))[0].cpu()

    variants: dict[str, Callable[[], object]] = {
        EAGER: contiguous,
        FORWARD: forward_alone(predictor, images, folder / "forward.onnx"),
        CAM: lambda: predictor.forward(images),
        PACKAGE: lambda: gradcam_of_every_finding(exact, images),
    }
    graph, threads = folder / "every.onnx", torch.get_num_threads()
    for name, single in exported.available("auto", reduced=False) if device.type == "cpu" else ():
        if not graph.is_file():
            exported.export(exact.serving, 1, graph)
        other = exported.of_graph(name, single, graph, threads)
        variants[f"{name}_ips"] = partial(other, images)
    return variants


def forward_alone(predictor: Predictor, images: Tensor, graph: Path) -> Callable[[], object]:
    """The engine that serves, made again without heatmaps and pooled features."""
    import torch

    from classifier.inference.engines import exported
    from classifier.inference.engines.engine import Probabilities, PyTorch

    served = predictor.engine
    if isinstance(served, PyTorch):
        alone = PyTorch(served.network, predictor.spec, predictor.device)
        alone.serving, alone.dtype = Probabilities(served.network, predictor.spec), served.dtype
        return lambda: alone.run(images)
    exported.export(Probabilities(predictor.fp32_network, predictor.spec), 1, graph)
    made = exported.of_graph(served.name, served.precision, graph, torch.get_num_threads())
    return lambda: made.run(images)


def gradcam_of_every_finding(exact: PyTorch, images: Tensor) -> None:
    """What the grad-cam package takes for the same heatmaps: one backward pass a finding."""
    from pytorch_grad_cam import GradCAM

    from classifier.inference.explain import contribution
    from classifier.networks.registry import cam_layer_of

    spec = exact.serving.spec
    layer = cam_layer_of(exact.network, spec)
    with GradCAM(model=exact.network, target_layers=[layer]) as explainer:
        for index in range(len(spec.findings)):
            explainer(input_tensor=images.to(exact.device), targets=[contribution(index, spec)] * len(images))


def artifact_to_measure(model: str | None) -> Artifact:
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
    facts = "{device}, {threads} threads, torch {torch}, {size} px, batch {batch}, {engine} {precision}"
    lines = [facts.format(**report)]
    for name, value in report.items():
        if name.endswith("_ips"):
            speed = "not installed" if value is None else f"{value:8.1f}  {value / report[EAGER]:6.2f}"
            lines.append(f"{name:<28}{speed}")
    lines.append(f"{'cam_overhead':<28}{report['cam_overhead']:8.3f}")
    lines.append(f"{'speedup_vs_gradcam_package':<28}{report['speedup_vs_gradcam_package']:8.1f}")
    return "\n".join(lines)
