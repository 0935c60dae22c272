"""Reads the header of a DICOM file (PS3.10): is it DICOM at all, and its data set."""

from __future__ import annotations

import io
import logging
import re
import zlib

import pydicom
from pydicom import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from classifier.errors import Refused
from classifier.images.limits import MAX_INFLATED_BYTES
from classifier.reasons import RefusalReason

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
# Python's codec of ISO 2022 IR 58 does not take the escape sequence, which pydicom leaves to it.
setattr(pydicom.charset, "handled_encodings", ("iso2022_jp", "iso2022_jp_2"))  # noqa: B010
# Its warnings quote header values, which may identify the patient.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

_PREAMBLE, _MAGIC, _META_BYTES = 128, b"DICM", 4096
# (0002,0000) comes first: eight bytes, then the length of the rest of its group.
_GROUP_LENGTH_AT = _PREAMBLE + 12
_META_START = _GROUP_LENGTH_AT + 4
_EMPTY_SYNTAX = re.compile(rb"\x02\0\x10\0UI(?:\0\0|\x02\0[\0 ]{2}|\x04\0[\0 ]{4})", re.DOTALL)
_SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
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
    data = _without_empty_transfer_syntax(data)
    _check_inflated_size(data)
    dataset = _parsed(data)
    if len(dataset) == 0:
        dataset = _parsed(data + _SEQUENCE_DELIMITER)  # fragments without their closing delimiter
    if len(dataset) == 0:
        raise Refused(RefusalReason.UNDECODABLE, "contains no data elements")
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = plain if little else pydicom.uid.ExplicitVRBigEndian
    return dataset


def _parsed(data: bytes) -> Dataset:
    return read_partial(io.BytesIO(data), _is_after_pixel_data, force=True)


def _without_empty_transfer_syntax(data: bytes) -> bytes:
    """The same file without a TransferSyntaxUID that is blank, which pydicom takes for a value."""
    found = _EMPTY_SYNTAX.search(data[:_META_BYTES]) if data[_PREAMBLE : _PREAMBLE + 4] == _MAGIC else None
    if found is None or found.start() < _GROUP_LENGTH_AT:
        return data
    group_length = int.from_bytes(data[_GROUP_LENGTH_AT:_META_START], "little") - len(found[0])
    head = data[:_GROUP_LENGTH_AT] + max(group_length, 0).to_bytes(4, "little")
    return head + data[_META_START : found.start()] + data[found.end() :]


def _is_after_pixel_data(tag: BaseTag, vr: str | None, length: int) -> bool:
    """Reading stops here: padding, signatures or garbage may follow the pixel data."""
    return tag > _PIXEL_DATA


def _check_inflated_size(data: bytes) -> None:
    """Raise Refused(too_large) for a deflated data set that would fill the memory (PS3.5 A.5)."""
    head = data[:_META_BYTES]
    if head[_PREAMBLE : _PREAMBLE + 4] != _MAGIC or DeflatedExplicitVRLittleEndian.encode() not in head:
        return
    start = _META_START + int.from_bytes(head[_GROUP_LENGTH_AT:_META_START], "little")
    inflate, pending, size = zlib.decompressobj(-zlib.MAX_WBITS), data[start:], 0
    while pending and not inflate.eof:
        size += len(inflate.decompress(pending, 1 << 20))
        pending = inflate.unconsumed_tail
        if size > MAX_INFLATED_BYTES:
            raise Refused(RefusalReason.TOO_LARGE, "inflates beyond the size limit")
