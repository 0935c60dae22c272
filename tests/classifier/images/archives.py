"""ZIP archives made in code: good ones, bad ones, bombs."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"


def image(number: int = 0, size: int = 200) -> bytes:
    """Bytes that begin like a PNG file; each number gives other ones."""
    return (PNG + f"image {number} ".encode() * size)[:size]


def zipped(members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def with_link(name: str, target: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        link = zipfile.ZipInfo(name)
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, target)
    return made.getvalue()


def encrypted(data: bytes) -> bytes:
    """The archive with the flag of encryption (APPNOTE 4.4.4, bit 0) set on every member."""
    changed = bytearray(data)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(signature)
        while at >= 0:
            changed[at + flags] |= 1
            at = changed.find(signature, at + 4)
    return bytes(changed)


def stating_size(data: bytes, size: int) -> bytes:
    """The archive with another uncompressed size in the directory's entry of its one member."""
    at = data.rindex(b"PK\x01\x02") + 24
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


def overlapping(names: Iterable[str], content: bytes) -> bytes:
    """Every name leads to one and the same compressed bytes (a full overlap)."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = compressor.compress(content) + compressor.flush()
    names = [name.encode() for name in names]
    common = struct.pack(
        "<HHHHHIIIHH", 20, 0, 8, 0, 0, zlib.crc32(content), len(packed), len(content), len(names[0]), 0
    )
    body = b"PK\x03\x04" + common + names[0] + packed
    directory = b"".join(
        b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
        for name in names
    )
    end = struct.pack("<HHHHIIH", 0, 0, len(names), len(names), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end


def zeros(path: Path, *, members: int, member_bytes: int) -> Path:
    """An archive of black images, written as a stream: small on the disk, large when it is unpacked."""
    block = bytes(1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(members):
            with archive.open(f"{number}.png", "w", force_zip64=True) as member:
                member.write(PNG)
                for _ in range(member_bytes >> 20):
                    member.write(block)
    return path
