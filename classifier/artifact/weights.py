"""Saving and loading artifacts (format version 1), and import of public pretrained weights.

Tensors are named by the PARTS of `header` and stored as `classifier.artifact.quantise` describes.
Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy
from torch import Tensor, nn

from classifier.artifact.header import (
    INPUT_CHECK,
    MAX_ARTIFACT_BYTES,
    OTHER_ABNORMALITY,
    WARNING_LIMITS,
    header_metadata,
    parse_header,
    read_raw_header,
    with_sorted_header,
)
from classifier.artifact.quantise import State, restored, storage_of, stored
from classifier.artifact.training_set import TrainingSet
from classifier.contract import ModelSpec
from classifier.errors import GOLDEN_MISMATCH, HASH_MISMATCH, KEY_MISMATCH, NOT_AN_ARTIFACT, ArtifactError
from classifier.networks.preprocess import to_input
from classifier.networks.registry import check_names_and_shapes, network_for, probabilities_of


@dataclass(frozen=True)
class Golden:
    """Working images (K, H, W) uint16 and the probabilities (K, findings) float32 they gave."""

    working: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Artifact:
    """A loaded model: `network` is in evaluation mode, in float32, on the device that was asked for."""

    spec: ModelSpec
    network: nn.Module
    card: dict[str, Any]
    sha256: str
    segmenter: dict[str, Tensor] | None = None
    input_check: dict[str, Tensor] | None = None
    other_abnormality: dict[str, Tensor] | None = None
    warning_limits: dict[str, Tensor] | None = None
    golden: Golden | None = None
    storage: str = "fp32"
    training_set: TrainingSet | None = None


def save_artifact(
    path: str | Path,
    *,
    spec: ModelSpec,
    classifier_state: State,
    card: Mapping[str, Any],
    golden: np.ndarray | None = None,
    segmenter: State | None = None,
    input_check: State | None = None,
    other_abnormality: State | None = None,
    warning_limits: State | None = None,
    storage: str = "int8",
    training_set: TrainingSet | None = None,
) -> str:
    """Write one artifact file atomically and return its sha256.

    `golden` are working images (K, H, W) uint16 that may be published (phantoms, noise, never patients); the
    probabilities stored with them are those of the stored weights. `segmenter` and `input_check` are kept in
    fp16: stored again they stay the same to the bit. Raises ArtifactError (key_mismatch) when the state does
    not fit the spec, ValueError for an unknown storage.
    """
    parts = {"classifier": classifier_state, "segmenter": segmenter, INPUT_CHECK: input_check}
    parts |= {OTHER_ABNORMALITY: other_abnormality, WARNING_LIMITS: warning_limits}
    tensors = {
        f"{part}.{name}": array
        for part, state in parts.items()
        for name, array in stored(state or {}, storage if part == "classifier" else "fp16").items()
    }
    network = _network_with(spec, restored(_part(tensors, "classifier")))
    if golden is not None:
        tensors["golden.working"] = np.ascontiguousarray(golden, dtype=np.uint16)
        tensors["golden.probabilities"] = golden_probabilities(network, spec, golden)
    metadata = header_metadata(spec, dict(card), training_set)
    data = with_sorted_header(safetensors_numpy.save(tensors, metadata))
    write_atomically(Path(path), data)
    return hashlib.sha256(data).hexdigest()


def load_artifact(path: str | Path, *, expected_sha256: str | None = None, device: str = "cpu") -> Artifact:
    """Load one artifact file; raises ArtifactError (not_an_artifact, hash_mismatch, unsupported_version,
    key_mismatch) when it is not one that can be used, OSError when it cannot be opened."""
    with open(path, "rb") as file:
        data = file.read(MAX_ARTIFACT_BYTES + 1)
    header = read_raw_header(io.BytesIO(data), len(data))
    sha256 = hashlib.sha256(data).hexdigest()
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise ArtifactError(HASH_MISMATCH, "the model file is not the one that was registered")
    spec, card, _, training_set = parse_header(header, sha256)
    try:
        tensors = safetensors_numpy.load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ArtifactError(NOT_AN_ARTIFACT, f"the tensors cannot be read: {error}") from error
    segmenter = restored(_part(tensors, "segmenter")) or None
    if spec.crop == "lungs" and segmenter is None:
        raise ArtifactError(KEY_MISMATCH, "the model looks at lungs and carries no segmenter to find them")
    return Artifact(
        spec=spec,
        network=_network_with(spec, restored(_part(tensors, "classifier"))).to(device),
        card=card,
        sha256=sha256,
        segmenter=segmenter,
        input_check=restored(_part(tensors, INPUT_CHECK)) or None,
        other_abnormality=restored(_part(tensors, OTHER_ABNORMALITY)) or None,
        warning_limits=restored(_part(tensors, WARNING_LIMITS)) or None,
        golden=_golden_of(_part(tensors, "golden"), spec),
        storage=storage_of(_part(tensors, "classifier")),
        training_set=training_set,
    )


def resave(path: str | Path, artifact: Artifact) -> str:
    """Write an artifact as it is now, stored as it was, and return its sha256; raises as `save_artifact`."""
    return save_artifact(
        path,
        spec=artifact.spec,
        classifier_state=artifact.network.state_dict(),
        card=artifact.card,
        golden=artifact.golden.working if artifact.golden else None,
        segmenter=artifact.segmenter,
        input_check=artifact.input_check,
        other_abnormality=artifact.other_abnormality,
        warning_limits=artifact.warning_limits,
        storage=artifact.storage,
        training_set=artifact.training_set,
    )


@torch.inference_mode()
def golden_probabilities(network: nn.Module, spec: ModelSpec, working: np.ndarray) -> np.ndarray:
    """fp32 probabilities (K, findings) of the network, where it lies, on working images (K, H, W)."""
    device = next(network.parameters()).device
    batch = torch.stack([to_input(image, spec) for image in working]).to(device)
    return probabilities_of(network(batch), spec).cpu().numpy()


def verify_golden(artifact: Artifact, *, atol: float = 1e-3) -> float:
    """Run the golden inputs; returns the largest difference in probability from the recorded ones.

    Raises ArtifactError (golden_mismatch) above `atol`, or when the artifact has no golden inputs.
    """
    if artifact.golden is None:
        raise ArtifactError(GOLDEN_MISMATCH, "the model carries no golden inputs")
    now = golden_probabilities(artifact.network, artifact.spec, artifact.golden.working)
    difference = float(np.abs(now - artifact.golden.probabilities).max())
    if not difference <= atol:
        raise ArtifactError(
            GOLDEN_MISMATCH, f"probabilities differ by {difference:.2g} from the model's own record"
        )
    return difference


def import_pretrained(network: nn.Module, source: str | Path | State, *, head: str = "fc") -> list[str]:
    """Load public ImageNet weights into a network; returns the names that kept their initial values.

    `source` is a state dict or a .safetensors file in the naming of timm or torchvision. An RGB stem is
    summed to grey, timm's `head.fc` becomes `head`, a classifier of another number of classes is left out.
    Raises ArtifactError (key_mismatch).
    """
    state = dict(source) if isinstance(source, Mapping) else _state_from_file(Path(source))
    own = network.state_dict()
    weight, bias = f"{head}.weight", f"{head}.bias"
    incoming = {re.sub(r"^head\.fc\.", f"{head}.", name): tensor for name, tensor in state.items()}
    for name, tensor in incoming.items():
        if name == weight:
            incoming[name] = tensor.flatten(1)
        elif tensor.ndim == 4 and tensor.shape[1] == 3 and name in own and own[name].shape[1] == 1:
            incoming[name] = tensor.sum(dim=1, keepdim=True)
    left_out = []
    if weight not in incoming or incoming[weight].shape != own[weight].shape:
        left_out = [weight, bias]
        incoming |= {name: own[name] for name in left_out}
    for name in own:  # some publishers omit this counter, which inference does not use
        if name.endswith("num_batches_tracked"):
            incoming.setdefault(name, own[name])
    check_names_and_shapes(own, incoming)
    network.load_state_dict(incoming, strict=True)
    return left_out


def _state_from_file(path: Path) -> dict[str, Tensor]:
    try:
        return {name: torch.from_numpy(array) for name, array in safetensors_numpy.load_file(path).items()}
    except (SafetensorError, KeyError, ValueError) as error:
        raise ArtifactError(NOT_AN_ARTIFACT, f"{path.name} is not a safetensors file: {error}") from error


def _part(tensors: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    prefix = part + "."
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}


def _network_with(spec: ModelSpec, state: dict[str, Tensor]) -> nn.Module:
    """The spec's network with exactly these weights; shapes are compared before memory is taken."""
    try:
        with torch.device("meta"):
            network = network_for(spec)
    except ValueError as error:
        raise ArtifactError(KEY_MISMATCH, str(error)) from error
    check_names_and_shapes(network.state_dict(), state)
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


def _golden_of(arrays: Mapping[str, np.ndarray], spec: ModelSpec) -> Golden | None:
    if not arrays:
        return None
    if arrays.keys() != {"working", "probabilities"}:
        raise ArtifactError(KEY_MISMATCH, f"unexpected golden tensors {sorted(arrays)[:5]}")
    golden = Golden(arrays["working"], arrays["probabilities"])
    shape = (len(golden.working), len(spec.findings))
    if golden.working.ndim != 3 or golden.working.dtype != np.uint16 or golden.probabilities.shape != shape:
        raise ArtifactError(KEY_MISMATCH, "the golden inputs and their probabilities do not belong together")
    return golden


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file: a kill leaves the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
