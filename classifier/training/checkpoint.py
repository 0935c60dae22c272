"""Checkpoints of a training run: one safetensors file, replaced atomically; nothing is pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from classifier.artifact.weights import write_atomically

State = Mapping[str, Tensor]


def save(path: Path, states: Mapping[str, State], facts: Mapping[str, Any]) -> None:
    """Write named states and JSON-able facts to one file, atomically."""
    tensors = {
        f"{part}:{name}": tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for part, state in states.items()
        for name, tensor in state.items()
    }
    metadata = {"facts": json.dumps(dict(facts)), "parts": json.dumps(list(states))}
    write_atomically(path, safetensors.torch.save(tensors, metadata))


def load(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The states and facts of `save`; raises OSError or SafetensorError for another file."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        states: dict[str, dict[str, Tensor]] = {part: {} for part in json.loads(metadata["parts"])}
        for key in file.keys():  # noqa: SIM118 - a safetensors file is not a mapping
            part, name = key.split(":", 1)
            states[part][name] = file.get_tensor(key)
    return states, json.loads(metadata["facts"])


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments and step counts by parameter number; the options come from the run's own configuration."""
    return {
        f"{index}.{key}": value
        for index, slots in optimiser.state_dict()["state"].items()
        for key, value in slots.items()
    }


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: State) -> None:
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        like = parameters[int(index)]
        if tensor.shape == like.shape:  # fused optimisers walk memory: moments must lie as their weights do
            tensor = torch.empty_like(like, device="cpu").copy_(tensor)
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
