"""The model for an image: the one given by --model, or the shipped one for the slot of the image."""

from __future__ import annotations

from pathlib import Path

from classifier.artifact.header import shipped_artifact
from classifier.artifact.weights import Artifact, load_artifact
from classifier.cli.arguments import UsageError
from classifier.contract import Slot
from classifier.errors import ArtifactError
from classifier.inference.device import device_for
from classifier.inference.predictor import Predictor


class Models:
    """Predictors by slot, loaded on first use; a model at `path` serves its own slot only.

    Raises UsageError for a model or device that cannot be used, as `for_slot` does.
    """

    def __init__(self, path: str | None, *, device: str, precision: str) -> None:
        self.device, self.precision = usable_device(device), precision
        self._predictors: dict[Slot, Predictor | None] = {}
        self._only: Slot | None = None
        if path is not None:
            predictor = self._load(Path(path))
            self._only = predictor.spec.slot
            self._predictors = dict.fromkeys(Slot) | {self._only: predictor}

    def for_slot(self, slot: Slot) -> Predictor | None:
        """The predictor for the slot; None if there is no model for it."""
        if slot not in self._predictors:
            path = shipped_artifact(slot)
            self._predictors[slot] = self._load(path) if path else None
        return self._predictors[slot]

    def stated_slot(self, modality: str) -> Slot | None:
        """The slot of images without a DICOM header; None: the default."""
        if modality != "auto":
            return Slot(modality)
        return self._only if self._only in (Slot.CXR, Slot.CT) else None

    def _load(self, path: Path) -> Predictor:
        try:
            return Predictor(usable_artifact(path), device=self.device, precision=self.precision)
        except ArtifactError as error:
            raise UsageError(f"Cannot use the model {path}: {error}") from error


def usable_artifact(path: Path, *, device: str = "cpu") -> Artifact:
    """The artifact in a file named on the command line. Raises UsageError."""
    try:
        return load_artifact(path, device=device)
    except (ArtifactError, OSError) as error:
        raise UsageError(f"Cannot use the model {path}: {error}") from error


def usable_device(name: str) -> str:
    """The device of a --device option. Raises UsageError."""
    try:
        return device_for(name)
    except ValueError as error:
        raise UsageError(str(error)) from error
