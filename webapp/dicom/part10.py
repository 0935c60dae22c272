"""A received data set as a file (PS3.10 section 7.1), without a look into the data set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from webapp.dicom.values import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

CHUNK = 1 << 20
# PS3.5 section 9.1, without its rule on leading zeros, which real devices break.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


def is_uid(value: str) -> bool:
    return len(value) <= 64 and bool(_UID.fullmatch(value))


def file_head(*, sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """Preamble and file meta information; the same for the same object, whoever sends it and when."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance)
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    written = BytesIO()
    write_file_meta_info(written, meta)  # type: ignore[arg-type]  # any file is enough
    return bytes(128) + b"DICM" + written.getvalue()


def file_chunks(head: bytes, data_set: BytesIO) -> Iterator[bytes]:
    yield head
    data_set.seek(0)
    while chunk := data_set.read(CHUNK):
        yield chunk
