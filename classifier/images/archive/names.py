"""Names in ZIP archives, which state their encoding only where it is UTF-8 (APPNOTE 4.4.4)."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence
from zipfile import ZipInfo

from classifier.text_encoding import decode

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075  # Info-ZIP's extra field (APPNOTE 4.6.9)
_UNSTATED = "cp437"  # what zipfile takes for the encoding of names without the flag


def readable_names(entries: Sequence[ZipInfo]) -> list[str]:
    """The names as they were written: by flag or extra field, else as UTF-8 or the likeliest encoding.

    The names without a statement are of one computer, and are decoded together.
    """
    names = [entry.filename for entry in entries]
    unknown: dict[int, bytes] = {}
    for number, entry in enumerate(entries):
        raw = b"" if entry.flag_bits & _UTF8_FLAG else entry.orig_filename.encode(_UNSTATED).split(b"\0")[0]
        if raw.isascii():
            continue
        try:
            names[number] = _unicode_path(entry.extra, raw) or raw.decode("utf-8")
        except UnicodeDecodeError:
            unknown[number] = raw
    for number, name in zip(unknown, _decoded(list(unknown.values())), strict=True):
        names[number] = name
    return names


def _decoded(names: list[bytes]) -> list[str]:
    if not names:
        return []
    try:
        texts = decode(b"\n".join(names)).text.split("\n")
    except ValueError:
        texts = []
    return texts if len(texts) == len(names) else [name.decode(_UNSTATED) for name in names]


def _unicode_path(extra: bytes, raw: bytes) -> str:
    """The UTF-8 name of the extra field, where it is of this name: empty otherwise."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(body) > 5 and body[0] == 1:
            (checksum,) = struct.unpack_from("<L", body, 1)
            if checksum == binascii.crc32(raw):
                return body[5:].decode("utf-8", errors="ignore")
    return ""
