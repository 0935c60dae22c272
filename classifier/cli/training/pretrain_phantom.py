"""Pass the weights to `train --pretrained FILE`. Phantoms come with the position of every opacity, so each
cell of the feature map has a target of its own; a small network learns from that within minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="CSV", help="written by phantom --for-training"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="weights to write")
    for name, value in (("size", 224), ("width", 16), ("epochs", 10), ("batch", 16), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"default: {value}")
    parser.add_argument("--lr", type=float, default=2e-3, metavar="RATE", help="default: 0.002")


def run(args: argparse.Namespace) -> int:
    from classifier.contract import ModelSpec, Slot
    from classifier.phantom.render import FINDINGS
    from classifier.training.pretrain.phantoms import load, pretrain, save

    shape = {"layers": (1, 1, 1, 1), "width": args.width, "size": args.size}
    spec = ModelSpec(name="phantom", slot=Slot.PHANTOM, findings=FINDINGS, **shape)
    options = {name: getattr(args, name) for name in ("epochs", "batch", "lr", "seed")}
    save(pretrain(*load(args.manifest, spec), spec, **options), args.out)
    return 0
