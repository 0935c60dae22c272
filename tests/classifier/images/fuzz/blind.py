"""Damage to bytes of which nothing is known."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

Damage = Callable[[bytes, random.Random], bytes]
HEADER_BYTES = 700
SIZES = (1, 2, 4, 40, 1000)
# What programs stumble over: ends of ranges, signs, powers of two and their neighbours.
NUMBERS = (
    *(0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000),
    *(4095, 4096, 20_000, 20_001, 32_767, 32_768, 65_534, 65_535, 65_536, 100_000, 1 << 20, (1 << 24) - 1),
    *((1 << 31) - 1, 1 << 31, (1 << 32) - 2, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, (1 << 64) - 1),
)


def number(dice: random.Random, bits: int = 32) -> int:
    """A number of at most `bits` bits, mostly one of `NUMBERS`."""
    return (dice.choice(NUMBERS) if dice.random() < 0.8 else dice.getrandbits(bits)) & ((1 << bits) - 1)


def place(data: bytes, dice: random.Random) -> int:
    """Somewhere in `data`, as often near its beginning as anywhere."""
    return dice.randrange(max(1, min(len(data), dice.choice((HEADER_BYTES, len(data))))))


def cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def cut_tail(data: bytes, dice: random.Random) -> bytes:
    return data[: -dice.randrange(1, 30)]


def flip_bits(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 3, 20)) if data else 0):
        changed[place(data, dice)] ^= 1 << dice.randrange(8)
    return bytes(changed)


def change_bytes(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 3, 20)) if data else 0):
        changed[place(data, dice)] = dice.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, dice.randrange(256)))
    return bytes(changed)


def change_number(data: bytes, dice: random.Random) -> bytes:
    """An extreme number of 2, 4 or 8 bytes in either byte order."""
    layout = dice.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    size, at = struct.calcsize(layout), place(data, dice)
    return data[:at] + struct.pack(layout, number(dice, 8 * size)) + data[at + size :]


def drop(data: bytes, dice: random.Random) -> bytes:
    at = place(data, dice)
    return data[:at] + data[at + dice.choice(SIZES) :]


def double(data: bytes, dice: random.Random) -> bytes:
    at, times = place(data, dice), dice.choice((1, 1, 50))
    return data[:at] + data[at : at + dice.choice(SIZES)] * times + data[at:]


def fill(data: bytes, dice: random.Random) -> bytes:
    at, size = place(data, dice), dice.choice(SIZES)
    return data[:at] + bytes([dice.choice((0, 0xFF, 0x20))]) * size + data[at + size :]


def insert(data: bytes, dice: random.Random) -> bytes:
    at = place(data, dice)
    return data[:at] + dice.randbytes(dice.choice(SIZES)) + data[at:]


def move(data: bytes, dice: random.Random) -> bytes:
    """Bytes of one place over those of another."""
    at, source, size = place(data, dice), place(data, dice), dice.choice(SIZES)
    return data[:at] + data[source : source + size] + data[at + size :]


_DAMAGES: tuple[Damage, ...] = (
    cut, cut_tail, flip_bits, flip_bits, change_bytes, change_bytes, change_number, drop, double, fill,
    insert, move,
)  # fmt: skip


def anyhow(data: bytes, dice: random.Random) -> bytes:
    return dice.choice(_DAMAGES)(data, dice)


def shuffled(parts: list, dice: random.Random) -> list:
    """`parts` with one left out, doubled, moved, or two of them exchanged."""
    parts = list(parts)
    if not parts:
        return parts
    one, other = dice.randrange(len(parts)), dice.randrange(len(parts))
    match dice.randrange(4):
        case 0:
            del parts[one]
        case 1:
            parts[other:other] = [parts[one]] * dice.choice((1, 1, 100))
        case 2:
            parts.insert(other, parts.pop(one))
        case 3:
            parts[one], parts[other] = parts[other], parts[one]
    return parts
