"""Damage to DICOM files that leaves their frame standing: values, lengths, order, tables, codestreams."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

from pydicom.uid import AllTransferSyntaxes, RLELossless

from tests.classifier.images.fuzz import codestreams, wild
from tests.classifier.images.fuzz.blind import anyhow, number, shuffled
from tests.classifier.images.fuzz.elements import (
    ITEM,
    PIXELS,
    Element,
    File,
    encapsulated,
    file_of,
    fragments,
)

_UNDEFINED = 0xFFFFFFFF
_SHORTS = (
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation",
    "PlanarConfiguration", "PixelPaddingValue", "PixelPaddingRangeLimit",
)  # fmt: skip
_SHORT_VALUES = (
    0, 1, 2, 3, 4, 7, 8, 9, 10, 12, 15, 16, 17, 24, 32, 64, 65, 66, 70, 140, 0x7FFF, 0x8000, 0xFFFF,
)  # fmt: skip
_TEXTS = (
    "NumberOfFrames", "WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleSlope", "RescaleIntercept",
    "RescaleType", "PixelSpacing", "ImagerPixelSpacing", "PhotometricInterpretation", "Modality",
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID",
    "IssuerOfPatientID", "PatientName", "PatientAge", "PatientSex", "PatientBirthDate", "StudyDate",
    "StudyTime", "AcquisitionDateTime", "TimezoneOffsetFromUTC", "SpecificCharacterSet", "ImageType",
    "SeriesNumber", "InstanceNumber", "KVP", "BurnedInAnnotation", "SyntheticData", "AccessionNumber",
    "PatientIdentityRemoved", "PresentationLUTShape",
)  # fmt: skip
_TEXT_VALUES = (
    b"", b" ", b"\0", b"0", b"1", b"2", b"-1", b"nan", b"NaN", b"inf", b"-inf", b"1e308", b"-1e308",
    b"1e-320", b"1e400", b"0.0", b"-0", b"1,5", b"1.5.2", b"\\", b"1\\2\\3", b"\\\\", b"0\\0",
    b"99999999999999999999", b"9" * 400, b"abc", b"\xff\xfe\xfd", b"\x1b$B\x1b(J", b"\xf0\x9f\x92\x80",
    b"a\0b", b"x" * 70_000, b"MONOCHROME1", b"RGB", b"YBR_FULL", b"YBR_FULL_422", b"YBR_RCT", b"YBR_ICT",
    b"PALETTE COLOR", b"ARGB", b"SIGMOID", b"LINEAR_EXACT", b"CT", b"CR", b"DX", b"MR", b"YES",
    b"ISO_IR 192", b"ISO 2022 IR 87", b"ISO_IR 999", b"19000101", b"00010101", b"99991231", b"20260230",
    b"2026", b"-500Y", b"999Y", b"000D", b"+9999", b"-1400", b"ORIGINAL\\PRIMARY\\LOCALIZER",
    b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.5.1.4.1.1.7", b"1.2.840.10008.5.1.4.1.1.2.1",
    b"1.2.840.10008.1.3.10", b"1.2.3.",
)  # fmt: skip
_COLOURS = ("Red", "Green", "Blue")


def dicom(data: bytes, dice: random.Random) -> bytes:
    """One thing wrong; raises ValueError, LookupError or struct.error where there is nothing of that kind."""
    file = file_of(data)
    return dice.choice(_CHANGES)(file, dice).packed()


def short_value(file: File, dice: random.Random) -> File:
    value = dice.choice(_SHORT_VALUES) if dice.random() < 0.9 else number(dice, 16)
    times = dice.choice((1, 1, 1, 1, 0, 2))
    packed = struct.pack(f"{file.order}{times}H", *[value] * times)
    return file.with_element(Element.of(dice.choice(_SHORTS), packed))


def text_value(file: File, dice: random.Random) -> File:
    value = dice.choice(_TEXT_VALUES)
    return file.with_element(Element.of(dice.choice(_TEXTS), value + b" " * (len(value) % 2)))


def window(file: File, dice: random.Random) -> File:
    """Window and rescale together, since one alone may not be looked at."""
    for keyword in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"):
        value = (
            dice.choice(_TEXT_VALUES[3:30]) if dice.random() < 0.5 else b"%d " % dice.randrange(-2000, 5000)
        )
        file = file.with_element(Element.of(keyword, value + b" " * (len(value) % 2)))
    return file


def any_value(file: File, dice: random.Random) -> File:
    at = dice.randrange(len(file.body))
    return file.changed(at, value=anyhow(file.body[at].value, dice))


def false_length(file: File, dice: random.Random) -> File:
    at = dice.randrange(len(file.body))
    size = len(file.body[at].value)
    return file.changed(
        at, length=dice.choice((0, 1, size + 1, size + 2, max(0, size - 2), _UNDEFINED, number(dice)))
    )


def false_meta(file: File, dice: random.Random) -> File:
    at = dice.randrange(len(file.meta))
    damaged = replace(file.meta[at], value=anyhow(file.meta[at].value, dice))
    return replace(file, meta=[*file.meta[:at], damaged, *file.meta[at + 1 :]])


def false_vr(file: File, dice: random.Random) -> File:
    known = (
        b"US",
        b"SS",
        b"UL",
        b"FL",
        b"FD",
        b"AT",
        b"SQ",
        b"UN",
        b"OB",
        b"OW",
        b"DS",
        b"IS",
        b"PN",
        b"DA",
        b"??",
    )
    return file.changed(dice.randrange(len(file.body)), vr=dice.choice(known))


def false_order(file: File, dice: random.Random) -> File:
    return replace(file, body=shuffled(file.body, dice))


def other_syntax(file: File, dice: random.Random) -> File:
    """A transfer syntax that the data set is not of; the data set stays as it is."""
    new = dice.choice(AllTransferSyntaxes).encode()
    meta = [replace(e, value=new + b"\0" * (len(new) % 2)) if e.tag == (2, 0x10) else e for e in file.meta]
    return replace(file, meta=meta)


def table(file: File, dice: random.Random) -> File:
    """A VOI or modality lookup table, or a palette, that may be of any size."""
    numbers = [dice.choice((0, 1, 16, 256, 4096, 65_535)), dice.choice((0, 1, 4095, 0x8000, 0xFFFF))]
    numbers.append(dice.choice((0, 1, 8, 10, 12, 16, 17, 32, 0xFFFF)))
    descriptor = struct.pack(f"{file.order}3H", *numbers)
    data = dice.randbytes(dice.choice((0, 2, 15, 256, 512, 8192, 2 * numbers[0])))
    if dice.random() < 0.3:
        file = file.with_element(Element.of("PhotometricInterpretation", b"PALETTE COLOR "))
        for colour in _COLOURS:
            stem = f"{colour}PaletteColorLookupTable"
            file = file.with_element(Element.of(f"{stem}Descriptor", descriptor))
            kind = dice.choice(("", "", "Segmented"))
            file = file.with_element(Element.of(f"{kind}{stem}Data", data))
        return file
    entries = [Element.of("LUTDescriptor", descriptor), Element.of("LUTData", data)]
    return file.with_element(_sequence(file, dice.choice(("VOILUTSequence", "ModalityLUTSequence")), entries))


def functional_groups(file: File, dice: random.Random) -> File:
    """The macros of an enhanced object, with values as they come (PS3.3 C.7.6.16)."""
    macro, keywords = dice.choice((
        ("FrameVOILUTSequence", ("WindowCenter", "WindowWidth")),
        ("PixelValueTransformationSequence", ("RescaleIntercept", "RescaleSlope")),
        ("PixelMeasuresSequence", ("PixelSpacing",)),
    ))  # fmt: skip
    inner = [Element.of(k, v + b" " * (len(v) % 2)) for k in keywords for v in [dice.choice(_TEXT_VALUES)]]
    groups = dice.choice(("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"))
    return file.with_element(_sequence(file, groups, [_sequence(file, macro, inner)]))


def nest(file: File, dice: random.Random) -> File:
    made = Element.of("PatientID", b"1 ")
    for _ in range(dice.choice((1, 10, 300, 3000))):
        made = _sequence(file, dice.choice(("ReferencedStudySequence", "OtherPatientIDsSequence")), [made])
    return file.with_element(made)


def pixel_size(file: File, dice: random.Random) -> File:
    at = file.at(PIXELS)
    value = file.body[at].value
    new = dice.choice((b"", value[:-1], value[: len(value) // 2], value + b"\0", value * 2, value[:1]))
    return file.changed(at, value=new)


def codestream(file: File, dice: random.Random) -> File:
    """A codestream that is wrong, in as many fragments as it likes, under an offset table that may be."""
    at = file.at(PIXELS)
    offsets, *parts = fragments(file.body[at].value)
    stream = b"".join(parts)
    change = codestreams.damaged_rle if file.syntax == RLELossless else codestreams.damaged
    stream = change(stream, dice) if dice.random() < 0.85 else anyhow(stream, dice)
    size = dice.choice((len(stream), len(stream), 1000, 64)) or 1
    parts = [stream[i : i + size] for i in range(0, len(stream), size)]
    parts = [part + b"\0" * (len(part) % 2) for part in parts]
    if dice.random() < 0.2:
        offsets = struct.pack("<I", number(dice)) * dice.choice((1, 2, 1000))
    if dice.random() < 0.1:
        parts = shuffled(parts, dice)
    return file.changed(at, value=encapsulated([offsets, *parts]))


def _sequence(file: File, keyword: str, elements: list[Element]) -> Element:
    packed = b"".join(element.packed(implicit=file.implicit, order=file.order) for element in elements)
    item = Element(ITEM, b"", packed).packed(implicit=file.implicit, order=file.order)
    return Element.of(keyword, item)


_CHANGES = (
    short_value, short_value, text_value, text_value, window, any_value, any_value, false_length, false_meta,
    false_vr, false_order, other_syntax, table, table, functional_groups, nest, pixel_size,
    *[codestream] * 8, *wild.DICOM,
)  # fmt: skip
