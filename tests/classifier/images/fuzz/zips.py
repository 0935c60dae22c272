"""Damage to ZIP archives: fields of their records, names, packed bytes; or archives made again, badly."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zipfile
from collections.abc import Callable

from tests.classifier.images.fuzz import wild
from tests.classifier.images.fuzz.blind import anyhow, number

# Offset and size of the fields of each record (APPNOTE 4.3.7, 4.3.12, 4.3.16, 4.3.14, 4.3.15).
_FIELDS = {
    b"PK\x03\x04": ((4, 2), (6, 2), (8, 2), (10, 4), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x01\x02": (
        (4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 4), (24, 4),
        (28, 2), (30, 2), (32, 2), (34, 2), (36, 2), (38, 4), (42, 4),
    ),
    b"PK\x05\x06": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    b"PK\x06\x06": ((4, 8), (12, 2), (16, 4), (24, 8), (32, 8), (40, 8), (48, 8)),
    b"PK\x06\x07": ((4, 4), (8, 8), (16, 4)),
}  # fmt: skip
_NAMES = (
    "../../etc/passwd", "/srv/x.png", "C:\\x.png", "a" * 300 + ".png", "a/" * 200 + "x.png",
    "x\u202egnp.exe", "\u0000.png", "con.png", "", ".", "..", "a\nb.png", "DICOMDIR", "x.PNG", "mimetype",
    "__MACOSX/._x.png",
)  # fmt: skip

Members = list[tuple[str, bytes]]


def archive(data: bytes, dice: random.Random) -> bytes:
    """One thing wrong; raises ValueError, LookupError or zipfile.BadZipFile where nothing fits."""
    changes = (_field, _field, _field, _field, _packed, _packed, _again, _again, _enclosed, wild.archive)
    return dice.choice(changes)(data, dice)


def _field(data: bytes, dice: random.Random) -> bytes:
    """A field of one record, or the same field of all records of its kind."""
    signature = dice.choice(tuple(_FIELDS)[:3] if dice.random() < 0.9 else tuple(_FIELDS))
    places = _places(data, signature)
    offset, size = dice.choice(_FIELDS[signature])
    changed = bytearray(data)
    for at in places if dice.random() < 0.3 else [dice.choice(places)]:
        old = int.from_bytes(changed[at + offset : at + offset + size], "little")
        new = dice.choice((old + 1, old - 1, old ^ 1, 0, len(data), 8, 9, 12, 14, 99, number(dice, 8 * size)))
        changed[at + offset : at + offset + size] = (new % (1 << 8 * size)).to_bytes(size, "little")
    return bytes(changed)


def _places(data: bytes, signature: bytes) -> list[int]:
    return [at for at in range(len(data)) if data.startswith(signature, at)]


def _packed(data: bytes, dice: random.Random) -> bytes:
    """The packed bytes of one member."""
    at = dice.choice(_places(data, b"PK\x03\x04"))
    size, _, name, extra = struct.unpack_from("<2I2H", data, at + 18)
    start = at + 30 + name + extra
    return data[:start] + anyhow(data[start : start + size], dice) + data[start + size :]


def _again(data: bytes, dice: random.Random) -> bytes:
    """The same members, one of them damaged, one under a name that is not nice, in any compression."""
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        members = [(entry.filename, opened.read(entry)) for entry in opened.infolist()]
    for change in (_damage_one, _name_one, lambda found, _: found * dice.choice((1, 2, 50))):
        if dice.random() < 0.6:
            members = change(members, dice)
    return zipped_anyhow(members, dice)


def _damage_one(members: Members, dice: random.Random) -> Members:
    at = dice.randrange(len(members))
    name, content = members[at]
    return [*members[:at], (name, anyhow(content, dice)), *members[at + 1 :]]


def _name_one(members: Members, dice: random.Random) -> Members:
    at = dice.randrange(len(members))
    return [*members[:at], (dice.choice(_NAMES), members[at][1]), *members[at + 1 :]]


def _enclosed(data: bytes, dice: random.Random) -> bytes:
    """An archive in an archive, damaged or not, up to a depth that is not opened."""
    for level in range(dice.choice((1, 2, 3, 30))):
        if dice.random() < 0.3:
            data = anyhow(data, dice)
        data = zipped_anyhow([(f"{level}.zip", data)], dice)
    return data


def zipped_anyhow(members: Members, dice: random.Random) -> bytes:
    method = dice.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    return zipped_into(dice.choice((io.BytesIO, Stream))(), members, method)


def zipped_into(made: io.BytesIO, members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return made.getvalue()


class Stream(io.BytesIO):
    """Cannot be gone back in: sizes come behind the packed bytes, in data descriptors."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError

    seek: Callable[..., int] = tell
