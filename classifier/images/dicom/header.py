"""Reads the header of a DICOM file (PS3.10): is it DICOM at all, and its data set."""

from __future__ import annotations

import io
import logging
import zlib

import pydicom
from pydicom import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from classifier.contract import RefusalReason
from classifier.errors import Refused
from classifier.images.limits import MAX_INFLATED_BYTES

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
# Its warnings quote header values, which may identify the patient.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

_PREAMBLE, _MAGIC, _META_BYTES = 128, b"DICM", 4096
_PIXEL_DATA = 0x7FE00010
_FIRST_GROUPS = {b"\x02\x00", b"\x08\x00", b"\x00\x08"}


def is_dicom(data: bytes) -> bool:
    """Whether the bytes are a Part 10 file, or one without preamble or file meta information."""
    if data[_PREAMBLE : _PREAMBLE + 4] == _MAGIC:
        return True
    if data[:2] not in _FIRST_GROUPS:
        return False
    return (data[4:6].isalpha() and data[4:6].isupper()) or int.from_bytes(data[4:8], "little") <= 1024


def read_dataset(data: bytes) -> Dataset:
    """The data set of a DICOM file up to its pixel data. Raises Refused and whatever pydicom raises."""
    _check_inflated_size(data)
    dataset = read_partial(io.BytesIO(data), _is_after_pixel_data, force=True)
    if len(dataset) == 0:
        raise Refused(RefusalReason.UNDECODABLE, "contains no data elements")
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = plain if little else pydicom.uid.ExplicitVRBigEndian
    return dataset


def _is_after_pixel_data(tag: BaseTag, vr: str | None, length: int) -> bool:
    """Reading stops here: padding, signatures or garbage may follow the pixel data."""
    return tag > _PIXEL_DATA


def _check_inflated_size(data: bytes) -> None:
    """Raise Refused(too_large) for a deflated data set that would fill the memory (PS3.5 A.5)."""
    head = data[:_META_BYTES]
    if head[_PREAMBLE : _PREAMBLE + 4] != _MAGIC or DeflatedExplicitVRLittleEndian.encode() not in head:
        return
    # (0002,0000) comes first and holds the length of its group; it is 12 bytes itself.
    start = _PREAMBLE + 16 + int.from_bytes(head[_PREAMBLE + 12 : _PREAMBLE + 16], "little")
    inflate, pending, size = zlib.decompressobj(-zlib.MAX_WBITS), data[start:], 0
    while pending and not inflate.eof:
        size += len(inflate.decompress(pending, 1 << 20))
        pending = inflate.unconsumed_tail
        if size > MAX_INFLATED_BYTES:
            raise Refused(RefusalReason.TOO_LARGE, "inflates beyond the size limit")
