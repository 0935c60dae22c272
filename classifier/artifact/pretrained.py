"""What a training starts from: an earlier Hilum model, a file of public weights, or the hub's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from classifier.artifact.header import NOT_AN_ARTIFACT, ArtifactError, read_header
from classifier.artifact.training_set import TrainingSet
from classifier.artifact.weights import import_pretrained, load_artifact
from classifier.contract import ModelSpec

AUTO = "auto"
PUBLIC = {"resnetv2": "timm/resnetv2_50.a1h_in1k", "resnet50": "timm/resnet50.tv2_in1k"}
FILE = "model.safetensors"


def start_from(network: nn.Module, spec: ModelSpec, given: str) -> dict[str, Any]:
    """Load what `given` names into the network; returns what that was and which tensors stay as they were.

    Of an earlier model with other findings the last layer is left out. Raises ArtifactError where the weights
    do not fit or are not to be had, OSError for a file that is not there.
    """
    if given == AUTO:
        return {"weights": PUBLIC.get(spec.arch), "left_out": import_pretrained(network, fetched(spec))}
    path = Path(given)
    try:
        earlier = read_header(path).spec
    except ArtifactError as error:
        if error.code != NOT_AN_ARTIFACT:
            raise
        return {"weights": path.name, "left_out": import_pretrained(network, path)}
    state = load_artifact(path).network.state_dict()
    if earlier.findings != spec.findings:
        state = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    return {"weights": earlier.name, "left_out": import_pretrained(network, state)}


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
    if tuple(spec.layers) != (3, 4, 6, 3) or spec.width != 64:
        raise ArtifactError(NOT_AN_ARTIFACT, "public weights are of the network of 50 layers at width 64")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        message = "fetching public weights needs a package: pip install huggingface_hub"
        raise ArtifactError(NOT_AN_ARTIFACT, message) from error
    try:
        return Path(hf_hub_download(PUBLIC[spec.arch], FILE))
    except Exception as error:  # the hub's client and its transport have a tree of errors each
        message = f"{PUBLIC[spec.arch]} could not be fetched; download its {FILE} elsewhere and name the file"
        raise ArtifactError(NOT_AN_ARTIFACT, message) from error
