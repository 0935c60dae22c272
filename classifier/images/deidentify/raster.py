"""Removes metadata from image files without re-encoding the image."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from classifier.errors import Refused
from classifier.images.codestream import jpeg_segments
from classifier.images.raster.reader import (
    SYNTHETIC_KEY,
    SYNTHETIC_TEXT,
    format_of,
    read_raster,
    refuse_broken,
)
from classifier.reasons import RefusalReason

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_PNG_MARK = SYNTHETIC_KEY.encode() + b"\0" + SYNTHETIC_TEXT.encode()
_WEBP_KEPT = {b"VP8 ", b"VP8L", b"ALPH"}
_WEBP_ALPHA, _WEBP_EXIF = 0x10, 0x08
_SOI, _COM = b"\xff\xd8", 0xFE
_APP0, _APP14 = 0xE0, 0xEE
# Segments that decoders need for colour: JFIF without its thumbnail, the Adobe colour transform.
_COLOUR_MARKS = {_APP0: (b"JFIF\0", 14), _APP14: (b"Adobe", 12)}
_UPRIGHT = 1


def strip_metadata(data: bytes) -> bytes:
    """The same image in the same format without text, EXIF, XMP, colour profile, thumbnail and trailing data.

    EXIF orientation and the phantom mark are kept. TIFF files, which may hold metadata anywhere, become PNG
    files of the grey levels that Hilum reads. Raises Refused(undecodable | too_large), and
    Refused(not_an_image) for an unsupported format.
    """
    with refuse_broken():
        orientation = _orientation(data)
        match format_of(data):
            case "PNG":
                return _PNG + b"".join(_png_chunks(data, orientation))
            case "JPEG":
                return b"".join(_jpeg_segments(data, orientation))
            case "WEBP":
                return _webp(data, orientation)
            case "TIFF":
                return _as_png(data)
    raise Refused(RefusalReason.NOT_AN_IMAGE, "metadata cannot be removed from this format")


def _orientation(data: bytes) -> int:
    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as image:
            found = image.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
    except UnidentifiedImageError:
        return _UPRIGHT  # 12-bit, lossless and JPEG-LS files are read without orientation
    return found if found in range(2, 9) else _UPRIGHT


def _exif(orientation: int) -> bytes:
    """A TIFF header and one entry: the orientation (Exif 2.32, 4.6.2)."""
    return struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def _png_chunks(data: bytes, orientation: int) -> Iterator[bytes]:
    at = len(_PNG)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + length]
        if len(chunk) != 12 + length:
            raise ValueError("a chunk is truncated")
        if kind in _PNG_KEPT or (kind == b"tEXt" and chunk[8:-4] == _PNG_MARK):
            yield chunk
        if kind == b"IHDR" and orientation != _UPRIGHT:
            yield _png_chunk(b"eXIf", _exif(orientation))
        if kind == b"IEND":
            return
        at += len(chunk)
    raise ValueError("the end chunk is missing")


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _jpeg_segments(data: bytes, orientation: int) -> Iterator[bytes]:
    """The kept segments up to the end of the image, with a new EXIF segment if needed."""
    yield _SOI
    if orientation != _UPRIGHT:
        yield _segment(0xE1, b"Exif\0\0" + _exif(orientation))
    for marker, start, end in jpeg_segments(data):
        yield _kept_segment(marker, data[start:end])


def _kept_segment(marker: int, segment: bytes) -> bytes:
    if marker != _COM and not 0xE0 <= marker <= 0xEF:
        return segment
    mark, length = _COLOUR_MARKS.get(marker, (b"\0", 0))
    body = segment[4 : 4 + length]
    if not body.startswith(mark) or len(body) < length:
        return b""
    return _segment(marker, body[:12] + b"\0\0" if marker == _APP0 else body)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">2BH", 0xFF, marker, len(body) + 2) + body


def _webp(data: bytes, orientation: int) -> bytes:
    """A RIFF container with the coded image only (RFC 9649 2.7). Raises ValueError for animations."""
    chunks, at = [], 12
    end = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + length]
        if kind in {b"ANIM", b"ANMF"} or len(body) != length:
            raise ValueError("an animation, or a truncated chunk")
        if kind == b"VP8X":
            flags = (body[0] & _WEBP_ALPHA) | (_WEBP_EXIF if orientation != _UPRIGHT else 0)
            chunks.append((kind, bytes([flags]) + body[1:10]))
        elif kind in _WEBP_KEPT:
            chunks.append((kind, body))
        at += 8 + length + length % 2
    if orientation != _UPRIGHT:
        chunks.append((b"EXIF", _exif(orientation)))
    packed = b"".join(
        struct.pack("<4sI", kind, len(body)) + body + bytes(len(body) % 2) for kind, body in chunks
    )
    return b"RIFF" + struct.pack("<I", len(packed) + 4) + b"WEBP" + packed


def _as_png(data: bytes) -> bytes:
    source = read_raster(data)
    return imagecodecs.png_encode(source.levels if source.bits > 8 else source.levels.astype(np.uint8))
