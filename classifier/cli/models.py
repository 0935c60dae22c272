"""Which model answers an image: the one that was named, or the shipped one of the image's slot."""

from __future__ import annotations

from pathlib import Path

import torch

from classifier.artifact.header import ArtifactError, shipped_artifact
from classifier.artifact.weights import Artifact, load_artifact
from classifier.contract import Slot
from classifier.inference.predictor import Predictor


class Unusable(Exception):
    """A model or device that was asked for cannot be used; the message is for people."""


class Models:
    """Warm predictors by slot, loaded when first needed; `path` names one that serves alone, its own slot."""

    def __init__(self, path: str | None, *, device: str, precision: str) -> None:
        self.device, self.precision = device_for(device), precision
        self._predictors: dict[Slot, Predictor | None] = {}
        self._only: Slot | None = None
        if path is not None:
            predictor = self._load(Path(path))
            self._only = predictor.spec.slot
            self._predictors = dict.fromkeys(Slot) | {self._only: predictor}

    def for_slot(self, slot: Slot) -> Predictor | None:
        """The slot's predictor, None where there is no model for it. Raises Unusable."""
        if slot not in self._predictors:
            path = shipped_artifact(slot)
            self._predictors[slot] = self._load(path) if path else None
        return self._predictors[slot]

    def claimed(self, modality: str) -> Slot | None:
        """What an image without a modality of its own is read as; None leaves it to the reader."""
        if modality != "auto":
            return Slot(modality)
        return self._only if self._only in (Slot.CXR, Slot.CT) else None

    def _load(self, path: Path) -> Predictor:
        try:
            return Predictor(usable_artifact(path), device=self.device, precision=self.precision)
        except ArtifactError as error:
            raise Unusable(f"the model {path} cannot be used: {error}") from error


def usable_artifact(path: Path, *, device: str = "cpu") -> Artifact:
    """The artifact of a file that somebody named. Raises Unusable."""
    try:
        return load_artifact(path, device=device)
    except (ArtifactError, OSError) as error:
        raise Unusable(f"the model {path} cannot be used: {error}") from error


def device_for(name: str) -> str:
    """`auto` is CUDA where there is such a device, else the CPU. Raises Unusable for an absent device."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise Unusable(f"there is no device {name!r} here: {error}") from error
    return name
