"""Reads an image file of any supported format; all untrusted bytes are parsed below this function."""

from __future__ import annotations

from pathlib import Path

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.decoded_image import DecodedImage
from classifier.images.dicom.header import is_dicom
from classifier.images.dicom.reader import read_dicom
from classifier.images.grayscale import render_grayscale
from classifier.images.limits import MAX_FILE_BYTES
from classifier.images.raster.reader import format_of, read_raster
from classifier.images.raw_image import RawImage
from classifier.reasons import RefusalReason


def read_image(path: Path | str, stated_slot: Slot | None = None) -> DecodedImage:
    """The image in a DICOM, PNG, JPEG, TIFF or WebP file; the format is detected from the content.

    `stated_slot` (cxr or ct) applies to files without a DICOM header. Raises Refused, and OSError where
    the file cannot be opened. Read untrusted files through `sandbox.ParsingHelper` instead.
    """
    data = read_bytes(path)
    try:
        return render_grayscale(_decode(data, stated_slot))
    except MemoryError as error:
        raise Refused(RefusalReason.TOO_LARGE, "decoding needs too much memory") from error


def read_bytes(path: Path | str) -> bytes:
    """The content of a file. Raises Refused(too_large), OSError."""
    path = Path(path)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise Refused(RefusalReason.TOO_LARGE, f"more than {MAX_FILE_BYTES >> 20} MiB")
    return path.read_bytes()


def _decode(data: bytes, stated_slot: Slot | None) -> RawImage:
    if not data:
        raise Refused(RefusalReason.NOT_AN_IMAGE, "empty file")
    # The preamble of a DICOM file may make it a TIFF file too (PS3.10 7.1).
    if is_dicom(data):
        return read_dicom(data)
    if format_of(data):
        return read_raster(data, stated_slot)
    raise Refused(RefusalReason.NOT_AN_IMAGE, "not DICOM, PNG, JPEG, TIFF or WebP")
