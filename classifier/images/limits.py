"""The limits that decide, before anything is decoded, whether a file is read at all."""

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
    """What one file may cost the parsing helper: bytes of address space and of one output file, seconds."""

    memory_bytes: int = 2048 * MIB
    output_bytes: int = 512 * MIB
    cpu_seconds: int = 18
    wall_seconds: float = 90.0
    open_files: int = 64


# Unpacking writes more than parsing does, and decodes nothing.
UNPACK_LIMITS = Limits(memory_bytes=1024 * MIB, cpu_seconds=90, wall_seconds=240.0)


@dataclass(frozen=True)
class ArchiveLimits:
    """What one archive may hold: counts, bytes, and how many times its own size it may unpack to.

    Deflate packs black 1,000 to one, so a single black image may pass any ratio: the ratio counts for the
    whole, and only from `ratio_from` bytes on.
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
