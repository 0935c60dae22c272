"""Image files without a header for the patient, rewritten from the grey levels that Hilum reads of them.

Nothing else of the old file is left: text, EXIF, XMP, profiles, thumbnails, further images, colours under
transparency, unused palette entries, bytes within and after the coded image.
"""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np

from classifier.errors import Refused
from classifier.images.raster.reader import (
    SYNTHETIC_KEY,
    SYNTHETIC_TEXT,
    format_of,
    read_raster,
    refuse_broken,
)
from classifier.images.raw_image import RawImage
from classifier.reasons import RefusalReason

_PNG_MARK = SYNTHETIC_KEY.encode() + b"\0" + SYNTHETIC_TEXT.encode()
_HEADER_END = 33  # signature and IHDR
_FAST, _FILTER_UP = 4, 32
_PNG_DEPTHS = {8: np.uint8, 16: np.uint16}


def rewritten(data: bytes) -> bytes:
    """The grey levels of an image file, upright, as PNG; of 9 to 15 bits as lossless JPEG, which states them.

    The phantom mark is kept. Raises Refused(undecodable | too_large | too_small | unsupported_modality), and
    Refused(not_an_image) for an unsupported format.
    """
    if format_of(data) is None:
        raise Refused(RefusalReason.NOT_AN_IMAGE, "not PNG, JPEG, TIFF or WebP")
    before = read_raster(data)
    with refuse_broken():
        encoded = _encoded(before)
    after = read_raster(encoded)
    same = (after.bits, after.synthetic) == (before.bits, before.synthetic)
    if not same or not np.array_equal(after.levels, before.levels):
        raise Refused(RefusalReason.UNDECODABLE, "the image cannot be written without its metadata")
    return encoded


def _encoded(image: RawImage) -> bytes:
    kind = _PNG_DEPTHS.get(image.bits)
    if kind is None:
        levels = image.levels if image.bits > 8 else image.levels.astype(np.uint8)
        return bytes(imagecodecs.jpeg_encode(levels, lossless=True, predictor=1, bitspersample=image.bits))
    levels = np.ascontiguousarray(image.levels.astype(kind, copy=False))
    png = bytes(imagecodecs.png_encode(levels, level=_FAST, filter=_FILTER_UP))
    return png[:_HEADER_END] + _mark() + png[_HEADER_END:] if image.synthetic else png


def _mark() -> bytes:
    chunk = b"tEXt" + _PNG_MARK
    return struct.pack(">I", len(_PNG_MARK)) + chunk + struct.pack(">I", zlib.crc32(chunk))
