"""A file to a `Image`, whatever it is: the one door through which untrusted bytes come in."""

from __future__ import annotations

from pathlib import Path

from classifier.contract import RefusalReason, Slot
from classifier.errors import Refused
from classifier.images.decoded_image import DecodedImage
from classifier.images.dicom.reader import looks_like_dicom, read_dicom
from classifier.images.grayscale import image_of
from classifier.images.limits import MAX_FILE_BYTES
from classifier.images.raster.reader import format_of, read_raster


def read(path: Path | str, claimed: Slot | None = None) -> DecodedImage:
    """Image of a DICOM, PNG, JPEG, TIFF or WebP file, recognised by its content.

    `claimed` (cxr or ct) routes all but DICOM files, whose header knows better. Raises Refused, and
    OSError where the file cannot be opened. Untrusted files are read through `sandbox.ParsingHelper`.
    """
    path = Path(path)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise Refused(RefusalReason.TOO_LARGE, f"more than {MAX_FILE_BYTES >> 20} MiB")
    data = path.read_bytes()
    try:
        return image_of(_source(data, claimed))
    except MemoryError as error:
        raise Refused(RefusalReason.TOO_LARGE, "needs too much memory") from error


def _source(data: bytes, claimed: Slot | None):
    if not data:
        raise Refused(RefusalReason.NOT_AN_IMAGE, "empty file")
    # The preamble of a DICOM file may make it a TIFF file too (PS3.10 7.1).
    if looks_like_dicom(data):
        return read_dicom(data)
    if format_of(data):
        return read_raster(data, claimed)
    raise Refused(RefusalReason.NOT_AN_IMAGE, "neither DICOM nor PNG, JPEG, TIFF or WebP")
