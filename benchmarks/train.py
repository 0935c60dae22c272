"""Training throughput in images per second, compared with torchvision's ResNet-50 in the same run.

`python benchmarks/train.py --size 224 --batch 256` draws random images and times, in turns: the loop with
data and augmentation, the step of its network alone on a prepared batch, and a minimal loop around
`torchvision.models.resnet50` on such a batch. The difference of the first two is the cost of data and
augmentation. Prints one JSON object: medians in images per second, ratios within this run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from classifier.cli.inference.bench import device_name  # noqa: E402
from classifier.contract import ModelSpec, Slot  # noqa: E402
from classifier.data.augment import Augment  # noqa: E402
from classifier.data.manifest import Row, targets_of  # noqa: E402
from classifier.networks.registry import network_for  # noqa: E402
from classifier.networks.torchvision_ops import torchvision  # noqa: E402
from classifier.training.classification import Classification  # noqa: E402
from classifier.training.config import Config  # noqa: E402
from classifier.training.dataset import Part  # noqa: E402
from classifier.training.distributed import Distributed  # noqa: E402
from classifier.training.loop import Loop  # noqa: E402
from classifier.training.run_log import RunLog  # noqa: E402

FINDINGS = ("normal", "pneumonia", "covid19")
PUBLISHED = {
    "images_per_second": 2470,
    "what": "NVIDIA, ResNet-50 v1.5, one A100, mixed precision",
}


def ours(args: argparse.Namespace, folder: Path) -> Loop:
    """The loop on random images, at full size from the start."""
    spec = ModelSpec(name="bench", slot=Slot.CXR, findings=FINDINGS, size=args.size)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (args.images, args.size, args.size), np.uint8)
    rows = [Row(f"{n}", folder, (FINDINGS[n % 3],), f"{n}", "generated", "train") for n in range(args.images)]
    part = Part(rows, images, targets_of(rows, FINDINGS), np.arange(len(rows)))
    config = Config(folder, folder, size=args.size, batch=args.batch, progressive=False)
    processes = Distributed(args.device)
    parts = dict.fromkeys(("train", "val"), part)
    task = Classification(config, spec, network_for(spec, dropout=config.dropout), parts, processes.device)
    return Loop(task, task.plan, processes=processes, log=RunLog(silent=True))


def plain(args: argparse.Namespace, device: torch.device, precision: torch.autocast) -> Callable[[], object]:
    """One step of the usual loop around torchvision's ResNet-50, on a batch that is there already."""
    network = torchvision.models.resnet50(num_classes=len(FINDINGS)).to(
        device, memory_format=torch.channels_last
    )
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    inputs = torch.randn(args.batch, 3, args.size, args.size, device=device)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    targets = torch.arange(args.batch, device=device) % len(FINDINGS)

    def step() -> None:
        with precision:
            loss = functional.cross_entropy(network(inputs), targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def images_per_second(step: Callable[[], object], args: argparse.Namespace, device: torch.device) -> float:
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    for _ in range(args.steps):
        step()
    wait()
    return args.steps * args.batch / (time.perf_counter() - started)


def measure(args: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        loop = ours(args, Path(folder))
        task = loop.task
        rng, augment = np.random.default_rng(0), Augment(seed=0, device=loop.device)
        full = task.size(loop)

        def batch_of(drawn: np.ndarray, unit: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return task.inputs(unit, full), *task.targets_of(drawn), None

        def whole() -> None:
            drawn = rng.choice(args.images, args.batch)
            loop.learn(batch_of(drawn, augment(task.images(drawn))))

        chosen = np.arange(args.batch)
        ready = batch_of(chosen, task.images(chosen))
        steps = {
            "loop": whole,
            "network_alone": lambda: loop.learn(ready),
            "torchvision_resnet50": plain(args, loop.device, loop.autocast),
        }
        for step in steps.values():
            for _ in range(3):  # warm
                step()
        rounds = [
            {name: images_per_second(step, args, loop.device) for name, step in steps.items()}
            for _ in range(args.rounds)
        ]
    found = {name: statistics.median(one[name] for one in rounds) for name in steps}
    ratios = {name: round(found["loop"] / found[name], 3) for name in steps if name != "loop"}
    facts = {"device": device_name(str(loop.device)), "torch": torch.__version__, "size": args.size}
    facts |= {"batch": args.batch, "precision": "bf16" if loop.device.type == "cuda" else "fp32"}
    rates = {name: round(rate, 1) for name, rate in found.items()}
    return {**facts, "images_per_second": rates, "loop_over": ratios, "published": PUBLISHED}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="side of the images (default: 224)")
    parser.add_argument("--batch", type=int, default=256, help="images a step (default: 256)")
    parser.add_argument("--images", type=int, default=2048, help="to draw from (default: 2048)")
    parser.add_argument("--steps", type=int, default=20, help="of each kind a round (default: 20)")
    parser.add_argument("--rounds", type=int, default=5, help="medians over so many (default: 5)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    print(json.dumps(measure(parser.parse_args()), indent=1))


if __name__ == "__main__":
    main()
