"""Damage to JPEG, JPEG-LS, JPEG 2000, HTJ2K and RLE codestreams that leaves their frame standing."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, replace

from tests.classifier.images.fuzz.blind import anyhow, number, shuffled

_SOD, _SOT, _EOC, _SOS, _SIZ = 0x93, 0x90, 0xD9, 0xDA, 0x51
_FRAMES = {*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7, _SIZ}
_ALONE = {0x01, 0x4F, _SOD, *range(0xD0, 0xDA), *range(0x30, 0x40)}
_RLE_HEADER = 64


@dataclass(frozen=True)
class Segment:
    """A marker with its body (None: it has none), the coded data that follows, and perhaps a false length."""

    marker: int
    body: bytes | None
    tail: bytes = b""
    length: int | None = None

    def packed(self) -> bytes:
        head = bytes((0xFF, self.marker))
        if self.body is None:
            return head + self.tail
        length = len(self.body) + 2 if self.length is None else self.length
        return head + struct.pack(">H", length & 0xFFFF) + self.body + self.tail


def segments(stream: bytes) -> list[Segment]:
    """The segments of a codestream by its markers; raises IndexError or struct.error where it is broken."""
    found, at, wavelet = [], 0, stream[1] == 0x4F
    while at < len(stream):
        marker, start = stream[at + 1], at + 2
        body = None
        if marker not in _ALONE:
            length = struct.unpack_from(">H", stream, start)[0]
            body, start = stream[start + 2 : start + length], start + max(length, 2)
        at = start
        if marker == _SOD and wavelet:
            at = _next_tile(stream, start)
        elif marker == _SOS and not wavelet:
            at = _next_marker(stream, start)
        found.append(Segment(marker, body, stream[start:at]))
    return found


def _next_tile(stream: bytes, at: int) -> int:
    following = stream.find(b"\xff\x90\x00\x0a", at)
    return following if following >= 0 else max(at, len(stream) - 2)


def _next_marker(stream: bytes, at: int) -> int:
    while at + 1 < len(stream):
        # JPEG-LS stuffs a bit: what is below 0x80 is no marker there either.
        if stream[at] == 0xFF and stream[at + 1] >= 0x80 and not 0xD0 <= stream[at + 1] <= 0xD7:
            return at
        at += 1
    return len(stream)


def damaged(stream: bytes, dice: random.Random) -> bytes:
    """`stream` with one segment wrong in one way; raises IndexError or struct.error where it has none."""
    found = segments(stream)
    change = dice.choice((_in_body, _in_body, _in_size, _in_tail, _in_tail, _in_length, _in_marker, None))
    if change is None:
        found = shuffled(found, dice)
    else:
        change(found, dice)
    return b"".join(segment.packed() for segment in found)


def _one(found: list[Segment], dice: random.Random, markers: set[int] | None = None) -> int:
    fit = [i for i, s in enumerate(found) if s.body is not None and (markers is None or s.marker in markers)]
    return dice.choice(fit)


def _in_body(found: list[Segment], dice: random.Random) -> None:
    at = _one(found, dice)
    body = found[at].body
    if dice.random() < 0.3:
        body = anyhow(body, dice)
    else:
        size = dice.choice((1, 2, 4))
        place = dice.randrange(max(1, len(body)))
        body = body[:place] + number(dice, 8 * size).to_bytes(size, "big") + body[place + size :]
    found[at] = replace(found[at], body=body)


def _in_size(found: list[Segment], dice: random.Random) -> None:
    """The frame's own numbers: size, depth, samples, tiles."""
    at = _one(found, dice, _FRAMES)
    body = bytearray(found[at].body)
    wide = found[at].marker == _SIZ
    fields = [(2 + 4 * i, 4) for i in range(8)] + [(34, 2), (36, 1), (37, 1), (38, 1)]
    place, size = dice.choice(fields if wide else [(0, 1), (1, 2), (3, 2), (5, 1), (6, 1), (7, 1), (8, 1)])
    old = int.from_bytes(body[place : place + size], "big")
    new = dice.choice((old + 1, old - 1, old * 2, old // 2, number(dice, 8 * size)))
    body[place : place + size] = (new % (1 << 8 * size)).to_bytes(size, "big")
    found[at] = replace(found[at], body=bytes(body))


def _in_tail(found: list[Segment], dice: random.Random) -> None:
    at = dice.choice([i for i, s in enumerate(found) if s.tail])
    found[at] = replace(found[at], tail=anyhow(found[at].tail, dice))


def _in_length(found: list[Segment], dice: random.Random) -> None:
    at = _one(found, dice)
    found[at] = replace(
        found[at], length=dice.choice((0, 1, 2, 3, len(found[at].body) + 3, number(dice, 16)))
    )


def _in_marker(found: list[Segment], dice: random.Random) -> None:
    at = dice.randrange(len(found))
    marker = dice.choice((0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xF7, 0x52, 0x5C, 0xFE, dice.randrange(256)))
    found[at] = replace(found[at], marker=marker)


def damaged_rle(stream: bytes, dice: random.Random) -> bytes:
    """RLE (PS3.5 G.5): count and offsets of segments, or the runs themselves."""
    if dice.random() < 0.5:
        return stream[:_RLE_HEADER] + anyhow(stream[_RLE_HEADER:], dice)
    header = list(struct.unpack_from("<16I", stream))
    at = dice.choice((0, 0, 1, 2, dice.randrange(16)))
    header[at] = dice.choice((header[at] + 1, max(0, header[at] - 1), len(stream), number(dice)))
    return struct.pack("<16I", *(value % (1 << 32) for value in header)) + stream[_RLE_HEADER:]
