"""A file to a `Picture`, whatever it is: the one door through which untrusted bytes come in."""

from __future__ import annotations

from pathlib import Path

from classifier.contract import RefusalReason, Slot
from classifier.errors import Refused
from classifier.images.dicom import looks_like_dicom, read_dicom
from classifier.images.limits import MAX_FILE_BYTES
from classifier.images.picture import Picture
from classifier.images.raster import read_raster
from classifier.images.tone import picture_of

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


def read(path: Path | str, claimed: Slot | None = None) -> Picture:
    """Picture of a DICOM, PNG or JPEG file, recognised by its content.

    `claimed` (cxr or ct) routes PNG and JPEG files; a DICOM header knows better. Raises Refused, and
    OSError where the file cannot be opened. Untrusted files are read through `sandbox.ParsingHelper`.
    """
    path = Path(path)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise Refused(RefusalReason.TOO_LARGE, f"more than {MAX_FILE_BYTES >> 20} MiB")
    data = path.read_bytes()
    try:
        return picture_of(_source(data, claimed))
    except MemoryError as error:
        raise Refused(RefusalReason.TOO_LARGE, "needs too much memory") from error


def _source(data: bytes, claimed: Slot | None):
    if not data:
        raise Refused(RefusalReason.NOT_AN_IMAGE, "empty file")
    if data.startswith((_PNG, _JPEG)):
        return read_raster(data, claimed)
    if looks_like_dicom(data):
        return read_dicom(data)
    raise Refused(RefusalReason.NOT_AN_IMAGE, "neither DICOM nor PNG nor JPEG")
