"""PNG and JPEG files without the parts that no pixel depends on, and with the end marker that some lack."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from classifier.images.codestream import jpeg_segments

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Transparency, orientation, our own mark, and animation, which is refused.
_USED = {b"tRNS", b"eXIf", b"tEXt", b"pHYs", b"acTL", b"fcTL", b"fdAT"}
_SMALL = 1 << 16
_END_OF_IMAGE = b"\xff\xd9"
_SEQUENTIAL, _SCAN = {0xC0, 0xC1}, 0xDA
# Entropy-coded data that a complete scan never reaches; a truncated one decodes the two differently.
_CONTINUATIONS = (b"\x55" * 256, b"\xaa" * 256)


def without_ancillary_chunks(data: bytes) -> bytes:
    """The PNG file with critical chunks, and ancillary ones that are used, small and whole (PNG 5.3, 11.3).

    A file that is cut within a chunk keeps its rest as it is.
    """
    kept, at = [_SIGNATURE], len(_SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        is_critical = not kind[0] & 0x20
        if is_critical or (
            kind in _USED and (kind == b"fdAT" or length <= _SMALL) and _is_whole(data, at, end)
        ):
            kept.append(data[at:end])
        at = end
        if kind == b"IEND":
            return b"".join(kept)
    return b"".join([*kept, data[at:]])


def _is_whole(data: bytes, at: int, end: int) -> bool:
    return zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")


def with_end_of_image(data: bytes) -> bytes:
    """The JPEG file with an end marker where only that is missing; otherwise unchanged.

    Complete means: one sequential scan of all components, whose image is the same whatever entropy-coded
    data follows it (ISO/IEC 10918-1 F.2.2.4).
    """
    if _END_OF_IMAGE in data[-4096:] or not _is_single_sequential_scan(data):
        return data
    body = data[:-1] if data.endswith(b"\xff") else data
    first, second = (_pixels(body + more + _END_OF_IMAGE) for more in _CONTINUATIONS)
    same = first is not None and second is not None and np.array_equal(first, second)
    return body + _END_OF_IMAGE if same else data


def _pixels(data: bytes) -> np.ndarray | None:
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError):
        return None


def _is_single_sequential_scan(data: bytes) -> bool:
    components = 0
    try:
        for marker, start, _ in jpeg_segments(data + _END_OF_IMAGE):
            if marker in _SEQUENTIAL:
                components = data[start + 9]
            elif marker == _SCAN:
                return data[start + 4] == components
    except (ValueError, IndexError, struct.error):
        pass
    return False
