"""The artifact file without torch: a safetensors file whose header carries ModelSpec and model card.

The web process reads headers here; `classifier.artifact.weights` loads the tensors. Files are not trusted.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

from classifier.artifact.training_set import TrainingSet
from classifier.contract import ARTIFACT_FORMAT_VERSION, ModelSpec, Slot
from classifier.errors import KEY_MISMATCH, NOT_AN_ARTIFACT, UNSUPPORTED_VERSION, ArtifactError

FORMAT = "hilum"
INPUT_CHECK = "gate"  # of tensors and card: its name in files of format 1
OTHER_ABNORMALITY = "other_abnormality"  # of tensors and card
WARNING_LIMITS = "warning_limits"  # of tensors and card
PARTS = ("classifier", "segmenter", INPUT_CHECK, OTHER_ABNORMALITY, WARNING_LIMITS, "golden")
SCALE_SUFFIX = "#scale"
MAX_HEADER_BYTES = 4 * 2**20
MAX_ARTIFACT_BYTES = 256 * 2**20
LENGTH_BYTES = 8
SHIPPED = Path(__file__).resolve().parents[2] / "artifacts"


class Header(NamedTuple):
    """What is known of a model before its tensors are loaded.

    `sha256` is that of the whole file, in hex; `training_set` is None in a model that does not record it.
    """

    spec: ModelSpec
    card: dict[str, Any]
    sha256: str
    training_set: TrainingSet | None = None


def read_header(path: str | Path) -> Header:
    """ModelSpec, model card and sha256 of an artifact, read without torch.

    Raises ArtifactError (not_an_artifact, unsupported_version, key_mismatch), OSError when it cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        raw = read_raw_header(file, size)
        file.seek(0)
        return parse_header(raw, hashlib.file_digest(file, "sha256").hexdigest())


def read_raw_header(file: BinaryIO, size: int) -> dict[str, Any]:
    """The JSON header of a safetensors stream of `size` bytes, bounded before it is read."""
    if not LENGTH_BYTES < size <= MAX_ARTIFACT_BYTES:
        raise ArtifactError(
            NOT_AN_ARTIFACT, f"a file of {size} bytes is no model (at most {MAX_ARTIFACT_BYTES >> 20} MiB)"
        )
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if length > min(MAX_HEADER_BYTES, size - LENGTH_BYTES):
        raise ArtifactError(NOT_AN_ARTIFACT, "the file does not begin with a safetensors header")
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(NOT_AN_ARTIFACT, "the safetensors header is not JSON") from error
    if not isinstance(header, dict):
        raise ArtifactError(NOT_AN_ARTIFACT, "the safetensors header is not an object")
    return header


def parse_header(header: dict[str, Any], sha256: str) -> Header:
    """The parsed form of a raw header, after a check of format, version and part names."""
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise ArtifactError(NOT_AN_ARTIFACT, "the file holds tensors, but not a Hilum model")
    if metadata.get("format_version") != str(ARTIFACT_FORMAT_VERSION):
        version = metadata.get("format_version")
        message = f"format version {version!r} is unknown here; this program reads {ARTIFACT_FORMAT_VERSION}"
        raise ArtifactError(UNSUPPORTED_VERSION, message)
    unknown = [name for name in header if name != "__metadata__" and name.split(".")[0] not in PARTS]
    if unknown:
        raise ArtifactError(KEY_MISMATCH, f"unknown tensors {sorted(unknown)[:5]}: parts are {PARTS}")
    try:
        card, recorded = _portable(metadata["card"]), metadata.get("training_set")
        _portable(metadata["spec"])
        spec = ModelSpec.from_json(metadata["spec"])
        training_set = None if recorded is None else TrainingSet.from_json(recorded)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = str(error).encode("ascii", "backslashreplace").decode()
        message = f"the model description in the header is invalid: {reason}"
        raise ArtifactError(NOT_AN_ARTIFACT, message) from error
    if not isinstance(card, dict):
        raise ArtifactError(NOT_AN_ARTIFACT, "the model card is not an object")
    return Header(spec, card, sha256, training_set)


def header_metadata(
    spec: ModelSpec, card: dict[str, Any], training_set: TrainingSet | None = None
) -> dict[str, str]:
    return {
        "format": FORMAT,
        "format_version": str(ARTIFACT_FORMAT_VERSION),
        "spec": spec.to_json(),
        "card": json.dumps(card, sort_keys=True),
        **({"training_set": training_set.to_json()} if training_set else {}),
    }


def with_sorted_header(data: bytes) -> bytes:
    """The same safetensors file with its header's keys in order, so that equal contents have equal hashes."""
    start = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")
    text = json.dumps(json.loads(data[LENGTH_BYTES:start]), sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text + data[start:]


def shipped_artifact(slot: Slot) -> Path | None:
    """The model file that comes with Hilum for a slot, None where none does."""
    path = SHIPPED / f"{slot.value}.safetensors"
    return path if path.is_file() else None


def _portable(text: str) -> Any:
    """The value of a JSON text that every database can store: finite numbers, no NUL, no lone surrogates.

    Raises ValueError.
    """
    value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    flat = json.dumps(value, ensure_ascii=False)
    if "\\u0000" in flat.replace("\\\\", ""):
        raise ValueError("a text contains NUL")
    flat.encode()
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is too large")
    return value
