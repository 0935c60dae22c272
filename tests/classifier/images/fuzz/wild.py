"""Faults that files in hospitals have: headers with gaps or false statements, odd names, sizes and ends."""

from __future__ import annotations

import binascii
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace

from pydicom.datadict import dictionary_VR
from pydicom.uid import AllTransferSyntaxes

from tests.classifier.images.fuzz.blind import anyhow, number
from tests.classifier.images.fuzz.elements import PIXELS, SEQUENCE_END, Element, File

_SYNTAX = (2, 0x10)
_CLOSING = Element(SEQUENCE_END, b"", b"").packed(implicit=True, order="<")
_ENDS = (b"", b"\xfe\xff\x0d\xe0\0\0\0\0", bytes(8), b"\xfe\xff\xdd\xe0", b"\xfe\xff\xdd\xe0\xff\xff\xff\xff")
_SIDES = (b"0", b"1", b"2", b"0.15", b"0.1650", b"-1", b"1e-9", b"1e9", b"nan", b"inf", b"5,0", b"", b"4.99")
_DIRECTIONS = (b"L", b"R", b"F", b"H", b"A", b"P", b"LF", b"RH", b"", b"X", b"l", b"LEFT")
_ENCODINGS = (
    b"", b"ISO_IR 100", b"ISO_IR 192", b"ISO_IR 166", b"GB18030", b"GBK", b"\\ISO 2022 IR 58",
    b"\\ISO 2022 IR 87", b"ISO 2022 IR 13\\ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"ISO_IR 58", b"\\\\", b"?",
)  # fmt: skip
_NAMES = (
    b"=\xe4\xbd\x90\xe8\x97\xa4^\xe5\x8d\x9a", b"==\xe3\x81\x95^\xe3\x81\xb2",
    b"Doe^John^^^Jr", b"====", b"^^^^^^",
    b"Zhang^Xiao=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1",
    b"\x1b$)C\xb1\xe8^\x1b$)C\xc8\xf1",
    b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
    b"\x1b$B", b"\x1b", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", b"\xff\xfe",
    "قباني^لنزار".encode(), "ا\u202e\u0301".encode(),
)  # fmt: skip
_AGES = (
    b"000Y", b"3 M ", b"0004M ", b"08MO", b"008W", b"000D", b"200Y", b"-05Y", b"5", b"052", b"Y052", b"52.5",
    b"\xd9\xa3", b"9999Y ", b"1e3Y",
)  # fmt: skip
_DATES = (
    b"19600101",
    b"20991231",
    b"1960.01.01",
    b"196001",
    b"00000000",
    b"20240230",
    b"",
    b"19600101120000",
)
_DEPENDED_ON = (
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation",
    "PhotometricInterpretation", "PlanarConfiguration", "SOPClassUID", "Modality", "NumberOfFrames",
)  # fmt: skip
_PHOTOMETRIC = (
    b"MONOCHROME 2", b"monochrome1", b"MONOCHROME2\0", b"RGB", b"YBR_FULL", b"YBR_FULL_422", b"YBR_RCT",
    b"PALETTECOLOR", b"GREY", b"",
)  # fmt: skip
_SLOPES = (b"0.0005", b"1e-9", b"-0.001", b"1e9", b"0", b"0.5", b"-1")
_ZIP_NAMES = (
    "胸部.png",
    "Jörg.png",
    "Больной.dcm",
    "환자.jpg",
    "病人.png",
    "ﾔﾏﾀﾞ.png",
    "=1+1.png",
    "a\x7f.png",
)
_CODE_PAGES = ("utf-8", "shift_jis", "cp437", "cp850", "cp1251", "cp949", "gb18030", "big5", "latin-1")


def even(value: bytes) -> bytes:
    return value + b" " * (len(value) % 2)


def native_under_a_codec(file: File, dice: random.Random) -> File:
    """Another transfer syntax over native pixel data, whose length may still fit."""
    at = file.at(PIXELS)
    new = dice.choice([one for one in AllTransferSyntaxes if one.is_encapsulated]).encode()
    body = dice.randbytes(dice.choice((70 * 66, 2 * 70 * 66, 3 * 70 * 66, 10)))
    changed = file if file.body[at].length is None else file.changed(at, value=body, length=None, vr=b"OW")
    return _restated(changed, new + b"\0" * (len(new) % 2))


def blank_syntax(file: File, dice: random.Random) -> File:
    return _restated(
        file, dice.choice((b"", b"  ", b"\0\0", b"\0\0\0\0", b"1.", b"1.2.840.10008.1.2.1\0\0\0"))
    )


def _restated(file: File, syntax: bytes) -> File:
    return replace(file, meta=[replace(e, value=syntax) if e.tag == _SYNTAX else e for e in file.meta])


def another_end(file: File, dice: random.Random) -> File:
    """Fragments that end in another way than PS3.5 A.4 wants, or not at all."""
    at = file.at(PIXELS)
    value = file.body[at].value
    if not value.endswith(_CLOSING):
        raise ValueError("not in fragments")
    value = value[: -len(_CLOSING)]
    cut = dice.choice((0, 0, 0, 1, 7, 9, 50))
    return file.changed(at, value=value[: len(value) - cut] + dice.choice(_ENDS))


def sides(file: File, dice: random.Random) -> File:
    """Pixels that are not square, or stated to be anything."""
    keyword = dice.choice(
        ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio", "NominalScannedPixelSpacing")
    )
    value = b"\\".join(dice.choice(_SIDES) for _ in range(dice.choice((1, 2, 2, 2, 3))))
    return file.with_element(Element.of(keyword, even(value)))


def orientation(file: File, dice: random.Random) -> File:
    value = b"\\".join(dice.choice(_DIRECTIONS) for _ in range(dice.choice((1, 2, 2, 2, 2, 3))))
    return sides(file, dice).with_element(Element.of("PatientOrientation", even(value)))


def person(file: File, dice: random.Random) -> File:
    """A name in any character set, and an age and birth date that may contradict each other."""
    for keyword, values in (
        ("SpecificCharacterSet", _ENCODINGS),
        ("PatientName", _NAMES),
        ("PatientAge", _AGES),
        ("PatientBirthDate", _DATES),
        (dice.choice(("StudyDate", "AcquisitionDate", "ContentDate", "SeriesDate")), _DATES),
    ):
        if dice.random() < 0.7:
            file = file.with_element(Element.of(keyword, even(dice.choice(values))))
    return file


def more_pixels(file: File, dice: random.Random) -> File:
    """Pixel data of several frames, another depth or colour than declared."""
    at = file.at(PIXELS)
    value = file.body[at].value
    widened = bytes(b for one in value[:100_000] for b in (one, 0))
    new = dice.choice(
        (value * 2, value * 3, value * 2 + b"\0" * 7, widened, value[: len(value) // 2], value + value[:9])
    )
    return file.changed(at, value=new)


def gap(file: File, dice: random.Random) -> File:
    """An attribute that the others settle is absent, or written as text."""
    keyword = dice.choice(_DEPENDED_ON)
    element = Element.of(keyword, b"")
    rest = [e for e in file.body if e.tag != element.tag]
    if len(rest) == len(file.body) or dice.random() < 0.5:
        return replace(file, body=rest)
    old = file.body[file.at(element.tag)].value
    kind = dictionary_VR(element.tag)
    text = b"%d" % int.from_bytes(old, "little") if kind == "US" else dice.choice(_PHOTOMETRIC)
    return file.with_element(replace(element, value=even(text), vr=dice.choice((b"DS", b"IS", b"LO", b"UN"))))


def photometric(file: File, dice: random.Random) -> File:
    return file.with_element(Element.of("PhotometricInterpretation", even(dice.choice(_PHOTOMETRIC))))


def steep(file: File, dice: random.Random) -> File:
    """A slope far from 1, with a window in its units."""
    slope = dice.choice(_SLOPES)
    values = {"RescaleSlope": slope, "RescaleIntercept": dice.choice((b"0", b"-1024", b"1e6"))}
    values |= {
        "WindowCenter": dice.choice((b"1.024", b"0", b"2048")),
        "WindowWidth": dice.choice((b"2.048", b"1e-7", b"1")),
    }
    for keyword, value in values.items():
        file = file.with_element(Element.of(keyword, even(value)))
    return file


DICOM: tuple[Callable[[File, random.Random], File], ...] = (
    native_under_a_codec, blank_syntax, another_end, another_end, sides, orientation, person, person,
    more_pixels, gap, gap, photometric, steep,
)  # fmt: skip


def large_chunk(dice: random.Random) -> tuple[bytes, bytes]:
    """Kind and body of an ancillary PNG chunk that is megabytes when inflated."""
    packed = zlib.compress(bytes([dice.randrange(256)]) * dice.choice((1 << 20, 3 << 20, 40 << 20)), 9)
    return dice.choice((
        (b"iCCP", b"profile\0\0" + packed),
        (b"zTXt", b"Comment\0\0" + packed),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed),
        (b"eXIf", b"MM\0*" + packed),
    ))  # fmt: skip


def without_end(data: bytes, dice: random.Random) -> bytes:
    """A JPEG without its end marker, or a little more or less than that."""
    end = data.rindex(b"\xff\xd9")
    return data[: end - dice.choice((0, 0, 0, 1, 2, 30))] + dice.choice(
        (b"", b"", b"\xff", b"\0\0", b"\xff\xd8")
    )


def archive(data: bytes, dice: random.Random) -> bytes:
    """Names in any encoding without a statement of it, or next to an archive over the limits."""
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        members = [opened.read(entry) for entry in opened.infolist()][:4]
    made, names = io.BytesIO(), []
    with zipfile.ZipFile(made, "w") as archive:
        for at, content in enumerate(members):
            raw = dice.choice(_ZIP_NAMES).encode(dice.choice(_CODE_PAGES), errors="replace")
            raw = anyhow(raw, dice)[:40] if dice.random() < 0.2 else raw
            names.append(raw)
            entry = zipfile.ZipInfo(chr(65 + at) * max(len(raw), 1))
            if dice.random() < 0.3:
                entry.extra = _unicode_path(raw, dice)
            archive.writestr(entry, content)
        if dice.random() < 0.2:
            archive.writestr("viewer.jar", _many(dice.choice((100, 20_500))))
    packed = made.getvalue()
    for at, raw in enumerate(names):
        packed = packed.replace((chr(65 + at) * len(raw)).encode(), raw) if raw else packed
    return packed


def _unicode_path(raw: bytes, dice: random.Random) -> bytes:
    """Info-ZIP's extra field, with a checksum and a length that may be false."""
    body = struct.pack("<BL", 1, dice.choice((binascii.crc32(raw), 0))) + dice.choice(_ZIP_NAMES).encode()
    length = len(body) if dice.random() < 0.7 else number(dice, 16)
    return struct.pack("<HH", 0x7075, length) + body


def _many(count: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for at in range(count):
            archive.writestr(f"C{at}.class", b"x")
    return made.getvalue()
