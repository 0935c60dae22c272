"""The weights that a training starts from: an earlier Hilum model, a file of public weights, or the hub's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import nn

from classifier.artifact.header import read_header
from classifier.artifact.training_set import TrainingSet
from classifier.artifact.weights import import_pretrained, load_artifact
from classifier.contract import ModelSpec
from classifier.errors import KEY_MISMATCH, NOT_AN_ARTIFACT, ArtifactError
from classifier.networks.registry import ARCHITECTURES, head_of

AUTO = "auto"
FILE = "model.safetensors"
SHAPE = ("arch", "layers", "width")


@dataclass(frozen=True)
class Transfer:
    """Which weights were loaded, and what was not: tensors, and findings of either model.

    `new` findings have no earlier output: theirs is random; `dropped` ones are of the earlier model only.
    """

    weights: str
    left_out: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Transfer:
        """From `asdict`, also as JSON, and among other facts."""
        return cls(**{field.name: value[field.name] for field in fields(cls)})

    @property
    def summary(self) -> str:
        """One line for people."""
        parts = {
            "not loaded": self.left_out,
            "findings without earlier weights": self.new,
            "findings of the earlier model not used": self.dropped,
        }
        stated = [f"{what}: {', '.join(names)}" for what, names in parts.items() if names]
        return "; ".join([f"started from {self.weights}", *stated])


def start_from(network: nn.Module, spec: ModelSpec, given: str) -> Transfer:
    """Load what `given` names into the network.

    The outputs of an earlier model are matched by finding. Raises ArtifactError if the weights do not fit or
    cannot be fetched, OSError for a missing file.
    """
    architecture = ARCHITECTURES[spec.arch]
    if given == AUTO:
        left_out = import_pretrained(network, fetched(spec), head=architecture.head)
        return Transfer(architecture.public_weights, tuple(left_out))
    path = Path(given)
    try:
        earlier = read_header(path).spec
    except ArtifactError as error:
        if error.code != NOT_AN_ARTIFACT:
            raise
        return Transfer(path.name, tuple(import_pretrained(network, path, head=architecture.head)))
    differing = [name for name in SHAPE if getattr(earlier, name) != getattr(spec, name)]
    if differing:
        wanted, has = (", ".join(f"{name} {getattr(s, name)}" for name in differing) for s in (spec, earlier))
        message = f"{path.name} has {has}, this training {wanted}: use the same options, or other weights"
        raise ArtifactError(KEY_MISMATCH, message)
    state = load_artifact(path).network.state_dict()
    kept = [finding for finding in spec.findings if finding in earlier.findings]
    head = architecture.head
    for part, own in head_of(network, spec).state_dict().items():
        matched, name = own.clone(), f"{head}.{part}"
        for finding in kept:
            matched[spec.findings.index(finding)] = state[name][earlier.findings.index(finding)]
        state[name] = matched
    left_out = import_pretrained(network, state, head=head)
    return Transfer(
        earlier.name,
        tuple(left_out) if kept else (f"{head}.weight", f"{head}.bias"),
        tuple(finding for finding in spec.findings if finding not in kept),
        tuple(finding for finding in earlier.findings if finding not in kept),
    )


def training_set_in(given: str | None) -> TrainingSet | None:
    """What an earlier Hilum model `given` has learned from; None where that is not recorded."""
    if given is None or given == AUTO:
        return None
    try:
        return read_header(given).training_set
    except ArtifactError:
        return None


def fetched(spec: ModelSpec) -> Path:
    """The public ImageNet weights of the spec's network, from the hub's cache or the network."""
    architecture = ARCHITECTURES[spec.arch]
    if (tuple(spec.layers), spec.width) != (architecture.layers, architecture.width):
        message = f"no public weights for {spec.arch} with layers {spec.layers} at width {spec.width}: "
        raise ArtifactError(
            NOT_AN_ARTIFACT, message + f"use layers {architecture.layers} and width {architecture.width}"
        )
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        message = "--pretrained auto requires a package: pip install huggingface_hub"
        raise ArtifactError(NOT_AN_ARTIFACT, message) from error
    name = architecture.public_weights
    try:
        return Path(hf_hub_download(name, FILE))
    except Exception as error:  # the hub's client and its transport have a tree of errors each
        message = f"{name} could not be fetched: download its {FILE} elsewhere and pass --pretrained FILE"
        raise ArtifactError(NOT_AN_ARTIFACT, message) from error
