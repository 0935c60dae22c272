"""Damage to PNG, JPEG, TIFF and WebP files that leaves their frame standing."""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass, replace

from tests.classifier.images.fuzz import codestreams, wild
from tests.classifier.images.fuzz.blind import anyhow, number, shuffled

_PNG_START = 8
_EXTRA_CHUNKS = (
    b"iCCP",
    b"zTXt",
    b"iTXt",
    b"tEXt",
    b"eXIf",
    b"tRNS",
    b"PLTE",
    b"gAMA",
    b"sBIT",
    b"acTL",
    b"bKGD",
)
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_TIFF_TAGS = (
    *(
        254,
        256,
        257,
        258,
        259,
        262,
        266,
        273,
        274,
        277,
        278,
        279,
        284,
        292,
        293,
        297,
        317,
        320,
        322,
        323,
        324,
    ),
    *(325, 330, 338, 339, 347, 513, 514, 530, 700, 34665, 34675),
)
_WEBP_CHUNKS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP", b"XMP ")
_SIDES = (0, 1, 63, 65, 66, 70, 140, 20_001, (1 << 31) - 1)
# What is likely in each field of IHDR, and its bits.
_HEADER = (
    *((_SIDES, 32),) * 2,
    ((1, 2, 4, 8, 16), 8),
    ((0, 2, 3, 4, 6), 8),
    *(((0, 1), 8),) * 3,
)


@dataclass(frozen=True)
class Chunk:
    kind: bytes
    body: bytes
    length: int | None = None
    sum: int | None = None

    def as_png(self) -> bytes:
        length = len(self.body) if self.length is None else self.length
        whole = zlib.crc32(self.kind + self.body) if self.sum is None else self.sum
        return struct.pack(">I", length) + self.kind + self.body + struct.pack(">I", whole)

    def as_riff(self) -> bytes:
        length = len(self.body) if self.length is None else self.length
        return self.kind + struct.pack("<I", length) + self.body + bytes(len(self.body) % 2)


def png(data: bytes, dice: random.Random) -> bytes:
    """A chunk that is wrong, under a checksum that is right, so that the decoder gets to see it."""
    chunks, at = [], _PNG_START
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunks.append(Chunk(kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    change = dice.choice((_header, _body, _body, _rows, _rows, _false, _extra, _large, shuffled))
    return data[:_PNG_START] + b"".join(chunk.as_png() for chunk in change(chunks, dice))


def _header(chunks: list[Chunk], dice: random.Random) -> list[Chunk]:
    """IHDR: size, depth, colour, interlacing, each alone or with one other (PNG 11.2.1)."""
    values = list(struct.unpack(">2I5B", chunks[0].body))
    for _ in range(dice.choice((1, 1, 2))):
        at = dice.randrange(7)
        likely, bits = _HEADER[at]
        values[at] = dice.choice(likely) if dice.random() < 0.7 else number(dice, bits)
    return [replace(chunks[0], body=struct.pack(">2I5B", *values)), *chunks[1:]]


def _body(chunks: list[Chunk], dice: random.Random) -> list[Chunk]:
    at = dice.randrange(len(chunks))
    return [*chunks[:at], replace(chunks[at], body=anyhow(chunks[at].body, dice)), *chunks[at + 1 :]]


def _rows(chunks: list[Chunk], dice: random.Random) -> list[Chunk]:
    """The filtered rows inside the deflate stream: filter types, too few or too many bytes."""
    rows = zlib.decompress(b"".join(chunk.body for chunk in chunks if chunk.kind == b"IDAT"))
    packed = zlib.compress(anyhow(rows, dice), dice.choice((0, 1, 9)))
    if dice.random() < 0.3:
        packed = packed[:-4] + dice.randbytes(4)
    parts = [packed] if dice.random() < 0.5 else [packed[i : i + 97] for i in range(0, len(packed), 97)]
    rest = [chunk for chunk in chunks if chunk.kind not in {b"IDAT", b"IEND"}]
    return [*rest, *(Chunk(b"IDAT", part) for part in parts), Chunk(b"IEND", b"")]


def _false(chunks: list[Chunk], dice: random.Random) -> list[Chunk]:
    """A length, a checksum or a name that is not the chunk's own."""
    at = dice.randrange(len(chunks))
    stated = dice.choice(({"length": number(dice)}, {"sum": 0}, {"kind": dice.choice(_EXTRA_CHUNKS)}))
    return [*chunks[:at], replace(chunks[at], **stated), *chunks[at + 1 :]]


def _extra(chunks: list[Chunk], dice: random.Random) -> list[Chunk]:
    kind = dice.choice(_EXTRA_CHUNKS)
    text = dice.choice(
        (b"", b"x\0\0", b"Synthetic\0", b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0")
    )
    body = dice.choice((text, text + zlib.compress(dice.randbytes(50) * 40), text + dice.randbytes(40)))
    at = dice.randrange(1, len(chunks))
    return [*chunks[:at], Chunk(kind, body), *chunks[at:]]


def _large(chunks: list[Chunk], dice: random.Random) -> list[Chunk]:
    at = dice.randrange(1, len(chunks))
    large = Chunk(*wild.large_chunk(dice), sum=dice.choice((None, None, 0)))
    return [*chunks[:at], large, *chunks[at:]]


def jpeg(data: bytes, dice: random.Random) -> bytes:
    if dice.random() < 0.1:
        return wild.without_end(data, dice)
    if dice.random() < 0.15:
        mark = dice.choice((b"Exif\0\0", b"ICC_PROFILE\0\1\1", b"Adobe\0\x64\0\0\0\0\2", b"JFIF\0", b"MPF\0"))
        body = (
            mark + dice.choice((b"", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03", b"II*\0")) + dice.randbytes(20)
        )
        app = bytes((0xFF, dice.choice((0xE0, 0xE1, 0xE2, 0xEE)))) + struct.pack(">H", len(body) + 2) + body
        return data[:2] + app + data[2:]
    return codestreams.damaged(data, dice)


def tiff(data: bytes, dice: random.Random) -> bytes:
    """A field of the first directory: tag, type, count, value, or the numbers that its value lies at."""
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(f"{order}I", data, 4)[0]
    count = struct.unpack_from(f"{order}H", data, start)[0]
    changed = bytearray(data)
    what = dice.randrange(8)
    entry = start + 2 + 12 * dice.randrange(max(count, 1))
    if what == 0:
        place_of_next = dice.choice((4, start + 2 + 12 * count))
        value = dice.choice((start, 0, len(data), number(dice)))
        struct.pack_into(f"{order}I", changed, place_of_next, value)
    elif what == 1:
        struct.pack_into(f"{order}H", changed, start, number(dice, 16))
    elif what == 2:
        struct.pack_into(f"{order}H", changed, entry, dice.choice(_TIFF_TAGS))
    elif what == 3:
        struct.pack_into(f"{order}H", changed, entry + 2, dice.choice((*_TIFF_SIZES, number(dice, 16))))
    elif what == 4:
        struct.pack_into(f"{order}I", changed, entry + 4, number(dice))
    elif what == 5:
        _change_elsewhere(changed, entry, order, dice)
    else:
        _change_value(changed, entry, order, dice)
    return bytes(changed)


def _change_value(data: bytearray, entry: int, order: str, dice: random.Random) -> None:
    likely = (*range(1, 9), 16, 32, 64, 32773, 32946, 34712, 50000, 50001, number(dice), number(dice, 16))
    value, kind = dice.choice(likely), struct.unpack_from(f"{order}H", data, entry + 2)[0]
    if kind == 3:
        struct.pack_into(f"{order}H", data, entry + 8, value & 0xFFFF)
    else:
        struct.pack_into(f"{order}I", data, entry + 8, value)


def _change_elsewhere(data: bytearray, entry: int, order: str, dice: random.Random) -> None:
    kind, count, at = struct.unpack_from(f"{order}HII", data, entry + 2)
    size = _TIFF_SIZES.get(kind, 1)
    at = at + size * dice.randrange(max(1, min(count, 64)))
    data[at : at + size] = number(dice, 8 * size).to_bytes(size, "little" if order == "<" else "big")


def webp(data: bytes, dice: random.Random) -> bytes:
    """A RIFF chunk: flags and sizes of VP8X, the first bytes of the image's own, names, lengths, order."""
    chunks, at = [], 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        chunks.append(Chunk(kind, data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    which = dice.randrange(len(chunks))
    chunk = chunks[which]
    match dice.randrange(6):
        case 0:
            chunks = shuffled(chunks, dice)
        case 1:
            chunks[which] = replace(chunk, length=dice.choice((0, len(chunk.body) + 1, number(dice))))
        case 2:
            chunks[which] = replace(chunk, kind=dice.choice(_WEBP_CHUNKS))
        case 3:
            head = anyhow(chunk.body[:12], dice)
            chunks[which] = replace(chunk, body=head + chunk.body[12:])
        case _:
            chunks[which] = replace(chunk, body=anyhow(chunk.body, dice))
    packed = b"".join(chunk.as_riff() for chunk in chunks)
    length = len(packed) + 4 if dice.random() < 0.8 else number(dice)
    return b"RIFF" + struct.pack("<I", length) + b"WEBP" + packed
