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

_library: torch.library.Library | None = None  # a definition lasts as long as its Library object


def load_torchvision() -> ModuleType:
    """torchvision, with the missing operator schemas defined first when its own do not load."""
    global _library
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            _library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module("torchvision")


torchvision = load_torchvision()
