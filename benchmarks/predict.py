"""The time of a prediction from file to result, and of closed-form maps compared with grad-cam.

`python benchmarks/predict.py` renders phantoms, reads them through the parsing helper and predicts them.
Prints one JSON object: medians in milliseconds, ratios within this run. `python -m classifier bench` measures
throughput relative to torchvision.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from classifier.cli.inference.bench import artifact_to_measure, device_name  # noqa: E402
from classifier.cli.inputs import load_image  # noqa: E402
from classifier.images.sandbox.client import ParsingHelper  # noqa: E402
from classifier.inference.device import device_for  # noqa: E402
from classifier.inference.explain import contribution  # noqa: E402
from classifier.inference.predictor import Input, Predictor  # noqa: E402
from classifier.networks.preprocess import to_input  # noqa: E402
from classifier.networks.registry import cam_layer_of  # noqa: E402
from classifier.phantom.files import write_png  # noqa: E402
from classifier.phantom.render import render  # noqa: E402


def median_ms(step: Callable[[object], object], items: Iterable[object]) -> float:
    """Median time of a step over items, in milliseconds; the first, cold one does not count."""
    times = []
    for item in items:
        started = time.perf_counter()
        step(item)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[1:] or times)


def grad_cam_of_every_finding(predictor: Predictor, item: Input) -> None:
    """What the grad-cam package takes for the same maps: one backward pass a finding."""
    from pytorch_grad_cam import GradCAM

    batch = to_input(item.working, predictor.spec)[None].to(predictor.device)
    layer = cam_layer_of(predictor.network, predictor.spec)
    with GradCAM(model=predictor.network, target_layers=[layer]) as explainer:
        for index in range(len(predictor.spec.findings)):
            explainer(input_tensor=batch, targets=[contribution(index, predictor.spec)])


def measure(model: str | None, device: str, *, count: int) -> dict[str, object]:
    predictor = Predictor(artifact_to_measure(model), device=device)
    with tempfile.TemporaryDirectory() as folder, ParsingHelper() as helper:
        files = [Path(folder, f"{seed}.png") for seed in range(count)]
        for seed, path in enumerate(files):
            write_png(path, render(seed))
        parsed = [load_image(helper, path, None) for path in files]
        reading = median_ms(lambda path: load_image(helper, path, None), files)
    items = [Input(one.working, (one.facts.rows, one.facts.columns)) for one in parsed]
    alone = median_ms(lambda item: predictor.predict([item]), items)
    together = median_ms(lambda _: predictor.predict(items), range(3)) / count
    package = median_ms(lambda item: grad_cam_of_every_finding(predictor, item), items)
    return {
        "device": device_name(device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "pixels": [items[0].original[0], items[0].original[1]],
        "read_ms": round(reading, 1),
        "predict_alone_ms": round(alone, 1),
        "predict_in_batch_ms": round(together, 1),
        "grad_cam_package_ms": round(package, 1),
        "package_to_closed_form": round(package / alone, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", metavar="FILE", help="measure this model (default: an untrained ResNet50-v2)"
    )
    parser.add_argument("--count", type=int, default=8, help="phantoms to draw")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    print(json.dumps(measure(args.model, device_for(args.device), count=args.count), indent=2))


if __name__ == "__main__":
    main()
