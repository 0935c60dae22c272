"""A DICOM file as its elements, read and written here byte by byte, so that anything can be stated in one."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace

from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag

_PREAMBLE, _UNDEFINED = 132, 0xFFFFFFFF
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SYNTAX, _DEFLATED, _BIG, _IMPLICIT = (
    (2, 0x10),
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2",
)
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
PIXELS = (0x7FE0, 0x0010)


@dataclass(frozen=True)
class Element:
    """One element; `length` is what it states of its value where that is not so (undefined: 0xFFFFFFFF)."""

    tag: tuple[int, int]
    vr: bytes
    value: bytes
    length: int | None = None

    @classmethod
    def of(cls, keyword: str, value: bytes, length: int | None = None) -> Element:
        tag = Tag(keyword)
        return cls((tag.group, tag.element), dictionary_VR(tag)[:2].encode(), value, length)

    def packed(self, *, implicit: bool, order: str) -> bytes:
        length = len(self.value) if self.length is None else self.length
        head = struct.pack(f"{order}2H", *self.tag)
        if implicit or self.tag[0] == 0xFFFE:
            return head + struct.pack(f"{order}I", length & 0xFFFFFFFF) + self.value
        if self.vr in _LONG:
            return head + self.vr + struct.pack(f"{order}HI", 0, length & 0xFFFFFFFF) + self.value
        return head + self.vr + struct.pack(f"{order}H", length & 0xFFFF) + self.value


@dataclass(frozen=True)
class File:
    """A file with a preamble: its meta information and its data set."""

    meta: list[Element]
    body: list[Element] = field(default_factory=list)
    syntax: str = ""
    preamble: bytes = bytes(128) + b"DICM"

    @property
    def implicit(self) -> bool:
        return self.syntax == _IMPLICIT

    @property
    def order(self) -> str:
        return ">" if self.syntax == _BIG else "<"

    def packed(self) -> bytes:
        meta = b"".join(element.packed(implicit=False, order="<") for element in self.meta)
        body = b"".join(element.packed(implicit=self.implicit, order=self.order) for element in self.body)
        if self.syntax == _DEFLATED:
            packer = zlib.compressobj(wbits=-15)
            body = packer.compress(body) + packer.flush()
        return self.preamble + meta + body

    def at(self, tag: tuple[int, int]) -> int:
        """The place of an element in the data set; raises ValueError where it has none."""
        return [element.tag for element in self.body].index(tag)

    def changed(self, at: int, **fields: object) -> File:
        return replace(self, body=[*self.body[:at], replace(self.body[at], **fields), *self.body[at + 1 :]])

    def with_element(self, new: Element) -> File:
        """With `new` in its place in the order, and in that of the one that was there."""
        rest = [element for element in self.body if element.tag != new.tag]
        before = [element for element in rest if element.tag < new.tag]
        return replace(self, body=[*before, new, *rest[len(before) :]])


def file_of(data: bytes) -> File:
    """Raises ValueError, LookupError or struct.error for what is not a whole file with a preamble."""
    if data[128:_PREAMBLE] != b"DICM":
        raise ValueError("no preamble")
    length = struct.unpack_from("<I", data, _PREAMBLE + 8)[0]
    start = _PREAMBLE + 12 + length
    meta = _elements(data[_PREAMBLE:start], False, "<")
    syntax = {e.tag: e.value for e in meta}[_SYNTAX].strip(b"\0 ").decode()
    made = File(meta, syntax=syntax, preamble=data[:_PREAMBLE])
    body = zlib.decompress(data[start:], wbits=-15) if syntax == _DEFLATED else data[start:]
    return replace(made, body=_elements(body, made.implicit, made.order))


def _elements(data: bytes, implicit: bool, order: str) -> list[Element]:
    found, at = [], 0
    while at + 8 <= len(data):
        element, at = _element(data, at, implicit, order)
        found.append(element)
    return found


def _element(data: bytes, at: int, implicit: bool, order: str) -> tuple[Element, int]:
    tag, vr = struct.unpack_from(f"{order}2H", data, at), data[at + 4 : at + 6]
    if implicit or tag[0] == 0xFFFE:
        length, start, vr = struct.unpack_from(f"{order}I", data, at + 4)[0], at + 8, b"UN"
    elif vr in _LONG:
        length, start = struct.unpack_from(f"{order}I", data, at + 8)[0], at + 12
    else:
        length, start = struct.unpack_from(f"{order}H", data, at + 6)[0], at + 8
    if length != _UNDEFINED:
        return Element(tag, vr, data[start : start + length]), start + length
    end = _end_of(data, start, implicit, order)
    return Element(tag, vr, data[start:end], _UNDEFINED), end


def _end_of(data: bytes, at: int, implicit: bool, order: str) -> int:
    """Where a value of undefined length ends, its delimiter included."""
    while True:
        element, at = _element(data, at, implicit, order)
        if element.tag in {ITEM_END, SEQUENCE_END}:
            return at


def fragments(value: bytes) -> list[bytes]:
    """The offset table and the fragments of encapsulated pixel data (PS3.5 A.4)."""
    return [element.value for element in _elements(value, True, "<") if element.tag == ITEM]


def encapsulated(parts: list[bytes]) -> bytes:
    packed = (Element(ITEM, b"", part).packed(implicit=True, order="<") for part in parts)
    return b"".join(packed) + Element(SEQUENCE_END, b"", b"").packed(implicit=True, order="<")
