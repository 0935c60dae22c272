"""Imports torchvision, also with a PyTorch build for which its compiled operators do not load.

PyPI's torchvision is built for CUDA; with a CPU build of PyTorch its library is skipped, and the import then
fails because fake kernels are registered for `nms` and `qnms`, which are not defined. Defining their schemas
avoids that. Where the operators load nothing is done, so detection models keep their kernels.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_libraries: list[torch.library.Library] = []  # a definition lasts as long as its Library object


def load_torchvision() -> ModuleType:
    """torchvision, with the missing operator schemas defined first when its own do not load."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    define_missing_schemas()
    return importlib.import_module("torchvision")


def define_missing_schemas() -> list[str]:
    """Define those of SCHEMAS that PyTorch does not know; returns their names."""
    missing = [name for name in SCHEMAS if not hasattr(torch.ops.torchvision, name)]
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in missing:
            library.define(SCHEMAS[name])
        _libraries.append(library)
    return missing


torchvision = load_torchvision()
