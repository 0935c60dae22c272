"""Limits for files and for the parsing helper, checked before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20

MAX_FILE_BYTES = 128 * MIB
MAX_PIXELS = 100_000_000
MAX_SIDE = 20_000
MIN_SIDE = 64
MAX_INFLATED_BYTES = 512 * MIB


@dataclass(frozen=True)
class Limits:
    """Resources of the parsing helper for one file: address space, output file size, times, open files."""

    memory_bytes: int = 2048 * MIB
    output_bytes: int = 512 * MIB
    cpu_seconds: int = 18
    wall_seconds: float = 90.0
    open_files: int = 64


# Unpacking writes more than parsing, and decodes nothing.
UNPACK_LIMITS = Limits(memory_bytes=1024 * MIB, cpu_seconds=90, wall_seconds=240.0)


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits of an archive: entries, bytes, and the ratio of its unpacked to its packed size.

    Deflate compresses black 1,000 to one, so that a single black image exceeds any sensible ratio: the ratio
    applies to the whole archive, and only above `ratio_from` bytes.
    """

    images: int = 2_000
    entries: int = 20_000
    directory_bytes: int = 8 * MIB
    member_bytes: int = MAX_FILE_BYTES
    total_bytes: int = 2048 * MIB
    ratio: int = 200
    ratio_from: int = 256 * MIB

    def allowed_bytes(self, archive_bytes: int) -> int:
        return min(self.total_bytes, max(self.ratio_from, self.ratio * archive_bytes))
