"""Tensors as an artifact stores them: fp32, fp16, or int8 with one float32 scale per output channel.

The scale of an int8 tensor is named `<tensor>#scale`. Everything is float32 again once restored.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from classifier.artifact.header import SCALE_SUFFIX
from classifier.errors import KEY_MISMATCH, ArtifactError

State = Mapping[str, Tensor]
STORAGES = ("int8", "fp16", "fp32")


def stored(state: State, storage: str) -> dict[str, np.ndarray]:
    """Weights of convolutions and linear layers in the storage asked for; norms and biases stay float32.

    Raises ValueError for an unknown storage.
    """
    if storage not in STORAGES:
        raise ValueError(f"unknown storage {storage!r}, not one of {STORAGES}")
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in state.items():
        array = tensor.detach().cpu().numpy()
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        if array.dtype.kind != "f" or array.ndim < 2 or storage == "fp32":
            arrays[name] = array.copy(order="C")
        elif storage == "fp16":
            arrays[name] = array.astype(np.float16, order="C")
        else:
            arrays[name], arrays[name + SCALE_SUFFIX] = _quantised(array)
    return arrays


def _quantised(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric int8 per output channel (first axis): array ~ int8 * scale."""
    scale = np.abs(array).max(axis=tuple(range(1, array.ndim))) / np.float32(127)
    scale = np.where(scale > 0, scale, np.float32(1)).astype(np.float32)
    levels = np.rint(array / scale.reshape(-1, *[1] * (array.ndim - 1)))
    return np.ascontiguousarray(levels.clip(-127, 127).astype(np.int8)), scale


def storage_of(arrays: Mapping[str, np.ndarray]) -> str:
    """The storage that arrays were written in."""
    types = {array.dtype for array in arrays.values() if array.ndim > 1}
    return "int8" if np.dtype(np.int8) in types else "fp16" if np.dtype(np.float16) in types else "fp32"


def restored(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The float32 state dict of stored arrays; raises ArtifactError (key_mismatch)."""
    scales = {n.removesuffix(SCALE_SUFFIX): a for n, a in arrays.items() if n.endswith(SCALE_SUFFIX)}
    state = {}
    for name, array in arrays.items():
        if name.endswith(SCALE_SUFFIX):
            continue
        scale = scales.pop(name, None)
        if (scale is not None) != (array.dtype == np.int8) or (
            scale is not None and scale.shape != array.shape[:1]
        ):
            raise ArtifactError(KEY_MISMATCH, f"{name} and its scale do not belong together")
        if scale is not None:
            array = array.astype(np.float32) * scale.reshape(-1, *[1] * (array.ndim - 1))
        elif array.dtype.kind == "f":
            array = array.astype(np.float32)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ArtifactError(KEY_MISMATCH, f"{name} holds values that are not finite")
        state[name] = torch.from_numpy(array)
    if scales:
        raise ArtifactError(KEY_MISMATCH, f"scales without their tensors: {sorted(scales)[:5]}")
    return state
