"""Headers of JPEG, JPEG-LS and JPEG 2000 codestreams, read without decoding."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from pydicom import uid

_J2K_START = b"\xff\x4f\xff\x51"
_JP2_BOX = b"\x00\x00\x00\x0cjP  "
_JPEG_START = b"\xff\xd8"
_END_OF_IMAGE = b"\xff\xd9"
_BASELINE, _LOSSLESS, _LS = 0xC0, 0xC3, 0xF7
_FRAME_MARKERS = (set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {_LS}
_TILE_PART = b"\xff\x90\x00\x0a"
_SCAN_START, _MAX_SCANS = b"\xff\xda", 100
_SCAN, _EOI, _WITHOUT_LENGTH = 0xDA, 0xD9, {0x01, *range(0xD0, 0xDA)}
_HIGH_THROUGHPUT, _MAX_RLE_SEGMENTS, _RLE_HEADER = 0x4000, 15, 64


class Declared(NamedTuple):
    """Size in pixels, samples per pixel, bits per sample, and a matching transfer syntax."""

    rows: int
    columns: int
    samples: int
    bits: int
    syntax: uid.UID


def declared(stream: bytes) -> Declared | None:
    """The header of a JPEG, JPEG-LS, JPEG 2000 or HTJ2K codestream; None for other data.

    ISO/IEC 10918-1 B.2.2, 14495-1 C.2.2, 15444-1 A.5.1. Raises ValueError for a broken header.
    """
    try:
        if stream.startswith(_J2K_START):
            return _jpeg2000(stream)
        if stream.startswith(_JPEG_START):
            return _jpeg(stream)
    except (struct.error, IndexError) as error:
        raise ValueError("the codestream ends within its header") from error
    return None


def unboxed(stream: bytes) -> bytes:
    """The codestream in a boxed JPEG 2000 file; pydicom trusts box lengths and may loop endlessly."""
    return stream[max(stream.find(_J2K_START), 0) :] if stream.startswith(_JP2_BOX) else stream


def check_end(stream: bytes) -> None:
    """Raise ValueError for a JPEG or JPEG-LS codestream without its end."""
    # A padding byte that is not zero may follow the marker.
    if _END_OF_IMAGE not in stream.rstrip(b"\0")[-4:]:
        raise ValueError("the codestream is truncated")


def check_scans(stream: bytes) -> None:
    """Raise ValueError for a JPEG with excessively many scans: each costs a full pass over the image."""
    if stream.count(_SCAN_START) > _MAX_SCANS:
        raise ValueError("the codestream has too many scans")


def syntax_of(stream: bytes) -> uid.UID | None:
    """The transfer syntax of a codestream, for data sets that do not state it (PS3.5 A.4)."""
    found = declared(stream)
    if found is not None:
        return found.syntax
    if len(stream) >= _RLE_HEADER:
        segments, first = struct.unpack_from("<2L", stream)
        if 1 <= segments <= _MAX_RLE_SEGMENTS and first == _RLE_HEADER:
            return uid.RLELossless
    return None


def _jpeg2000(stream: bytes) -> Declared:
    capabilities, width, height, left, top = struct.unpack_from(">H4I", stream, 6)
    samples, bits = struct.unpack_from(">HB", stream, 40)
    _check_tiles(stream)
    syntax = uid.HTJ2K if capabilities & _HIGH_THROUGHPUT else uid.JPEG2000
    return Declared(height - top, width - left, samples, (bits & 0x7F) + 1, syntax)


def _check_tiles(stream: bytes) -> None:
    """Raise ValueError for a JPEG 2000 codestream with missing tiles, which decoders would leave black."""
    right, bottom, _, _, wide, high, left, top = struct.unpack_from(">8I", stream, 8)
    count = -(-(right - left) // wide) * -(-(bottom - top) // high) if wide and high else 0
    if count == 1:
        return
    at, seen = stream.find(_TILE_PART), set()
    while at >= 0 and stream[at : at + 4] == _TILE_PART and len(stream) >= at + 12:
        tile, length = struct.unpack_from(">HI", stream, at + 4)
        seen.add(tile)
        at = at + length if length >= 12 else -1
    if len(seen) < count:
        raise ValueError("tiles are missing in the codestream")


def _jpeg(stream: bytes) -> Declared:
    for marker, start, _ in jpeg_segments(stream):
        if marker in _FRAME_MARKERS:
            bits, rows, columns, samples = struct.unpack_from(">B2HB", stream, start + 4)
            return Declared(rows, columns, samples, bits, _jpeg_syntax(marker))
        if marker == _SCAN:
            break
    raise ValueError("the codestream has no frame before its scan")


def jpeg_segments(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment after the first up to the end of the image, scans with their data.

    ISO/IEC 10918-1 B.1.1. Raises ValueError, IndexError and struct.error for a broken stream.
    """
    at, marker = 2, 0
    while marker != _EOI:
        if stream[at] != 0xFF:
            raise ValueError("a marker is missing in the codestream")
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        end = at + 2
        if marker not in _WITHOUT_LENGTH:
            end += struct.unpack_from(">H", stream, end)[0]
        if marker == _SCAN:
            end = _end_of_scan(stream, end)
        if end > len(stream):
            raise ValueError("a segment is truncated")
        yield marker, at, end
        at = end


def _end_of_scan(stream: bytes, at: int) -> int:
    """The position of the next marker that is neither a stuffed byte nor a restart marker."""
    while True:
        at = stream.find(b"\xff", at)
        if at < 0 or at + 1 >= len(stream):
            raise ValueError("the scan is truncated")
        # JPEG-LS stuffs bits, so that other values than zero may follow (ISO/IEC 14495-1 C.2.1).
        if stream[at + 1] >= 0x80 and not 0xD0 <= stream[at + 1] <= 0xD7:
            return at
        at += 2


def _jpeg_syntax(marker: int) -> uid.UID:
    known = {_BASELINE: uid.JPEGBaseline8Bit, _LOSSLESS: uid.JPEGLossless, _LS: uid.JPEGLSNearLossless}
    return known.get(marker, uid.JPEGExtended12Bit)
