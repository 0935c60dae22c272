"""The size that a compressed picture itself declares, read without decoding it."""

from __future__ import annotations

import struct

_J2K_START = b"\xff\x4f\xff\x51"
_JP2_BOX = b"\x00\x00\x00\x0cjP  "
_JPEG_START = b"\xff\xd8"
_FRAME_MARKERS = (set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}
_SCAN, _WITHOUT_LENGTH = 0xDA, {0x01, *range(0xD0, 0xD9)}


def declared_size(stream: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG, JPEG-LS, JPEG 2000 or HTJ2K codestream; None where it declares none.

    ISO/IEC 10918-1 B.2.2, 14495-1 C.2.2, 15444-1 A.5.1. Raises ValueError where the header is broken.
    """
    try:
        if stream.startswith(_JP2_BOX):
            stream = stream[max(stream.find(_J2K_START), 0) :]
        if stream.startswith(_J2K_START):
            width, height, left, top = struct.unpack_from(">4I", stream, 8)
            return height - top, width - left
        if stream.startswith(_JPEG_START):
            return _jpeg_size(stream)
    except (struct.error, IndexError) as error:
        raise ValueError("the codestream ends in its header") from error
    return None


def _jpeg_size(stream: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if stream[at] != 0xFF:
            raise ValueError("a marker is missing in the codestream")
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        elif marker in _FRAME_MARKERS:
            return struct.unpack_from(">2H", stream, at + 5)
        elif marker == _SCAN:
            raise ValueError("the codestream has a scan before its frame")
        else:
            at += 2 + struct.unpack_from(">H", stream, at + 2)[0]
