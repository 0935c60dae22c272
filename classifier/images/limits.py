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
    cpu_seconds: int = 30
    wall_seconds: float = 90.0
    open_files: int = 64
