"""Parts of a DICOM file for DICOMweb (PS3.18): its identity, its metadata as JSON, frames, bulk data."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from classifier.errors import Refused, refuse_broken_bytes
from classifier.images.dicom.header import is_dicom, read_dataset
from classifier.images.dicom.routing import slot_of
from classifier.images.read import read_bytes
from classifier.images.sandbox.response import CONTENT, Want
from classifier.reasons import RefusalReason

BULK_BYTES = 1024
UID_LENGTH = 64
_UTF8 = "ISO_IR 192"


def inspect(path: Path | str, folder: Path | str, want: str, options: dict[str, Any]) -> dict[str, Any]:
    """What `want` names of one file: short facts, and content in `folder`. Raises Refused, OSError."""
    data = read_bytes(path)
    if not is_dicom(data):
        raise Refused(RefusalReason.NOT_AN_IMAGE, "not DICOM")
    with warnings.catch_warnings(), refuse_broken_bytes():
        warnings.simplefilter("ignore")
        dataset = read_dataset(data)
        facts = _identity(dataset)
        match Want(want):
            case Want.IDENTITY:
                return facts | _readable(dataset)
            case Want.METADATA:
                content = json.dumps(metadata_json(dataset), allow_nan=False).encode()
            case Want.FRAME:
                content, facts["transfer_syntax"] = frame(dataset, options["number"], options["decoded"])
            case Want.BULK:
                content = bulk_data(dataset, options["place"])
    Path(folder, CONTENT).write_bytes(content)
    return facts


def metadata_json(dataset: Dataset) -> dict[str, Any]:
    """The DICOM JSON model (PS3.18 annex F); long values are only marked by an empty BulkDataURI."""
    found = dataset.to_json_dict(BULK_BYTES, lambda element: "", suppress_invalid_tags=True)
    found["00080005"] = {"vr": "CS", "Value": [_UTF8]}
    found["00083002"] = {"vr": "UI", "Value": [str(dataset.file_meta.TransferSyntaxUID)]}
    return dict(sorted(_finite(found).items()))


def frame(dataset: Dataset, number: int, decoded: bool) -> tuple[bytes, str]:
    """Frame `number` (from 1) as it is stored, or decoded to little endian; with its transfer syntax."""
    count = int(dataset.get("NumberOfFrames") or 1)
    if "PixelData" not in dataset or not 1 <= number <= count:
        raise Refused(RefusalReason.UNDECODABLE, "no such frame")
    syntax, element = dataset.file_meta.TransferSyntaxUID, dataset["PixelData"]
    if not syntax.is_encapsulated:
        return _native(dataset, number - 1, count), str(ExplicitVRLittleEndian)
    if decoded:
        pixels, _ = get_decoder(syntax).as_buffer(dataset, index=number - 1, raw=True)
        return bytes(pixels), str(ExplicitVRLittleEndian)
    return get_frame(element.value, number - 1, number_of_frames=count), str(syntax)


def bulk_data(dataset: Dataset, place: Sequence[str | int]) -> bytes:
    """The value at a place: a tag, or tags and item numbers (from 1) in turn that lead to one."""
    for tag, item in zip(place[:-1:2], place[1::2], strict=True):
        dataset = dataset[int(str(tag), 16)].value[int(item) - 1]
    value = dataset[int(str(place[-1]), 16)].value
    if not isinstance(value, bytes):
        raise Refused(RefusalReason.UNDECODABLE, "not bulk data")
    return value


def _native(dataset: Dataset, index: int, count: int) -> bytes:
    data = dataset.PixelData
    bits = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1)
    size = -(-bits * int(dataset.BitsAllocated) // 8)
    part = data if count == 1 else data[index * size : (index + 1) * size]
    if dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian and int(dataset.BitsAllocated) == 16:
        part = np.frombuffer(part[: len(part) // 2 * 2], ">u2").astype("<u2").tobytes()
    return part[:size]


def _identity(dataset: Dataset) -> dict[str, Any]:
    keywords = {
        "sop_class": "SOPClassUID",
        "sop_instance": "SOPInstanceUID",
        "series": "SeriesInstanceUID",
        "study": "StudyInstanceUID",
    }
    found = {name: str(dataset.get(keyword) or "")[:UID_LENGTH] for name, keyword in keywords.items()}
    return found | {"transfer_syntax": str(dataset.file_meta.TransferSyntaxUID)[:UID_LENGTH]}


def _readable(dataset: Dataset) -> dict[str, Any]:
    """Whether ingest has a use for the object, else its reason for a refusal."""
    try:
        slot_of(dataset)
    except Refused as refused:
        return {"refusal": refused.reason.value}
    return {"refusal": ""}


def _finite(value: Any) -> Any:
    """Without what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
