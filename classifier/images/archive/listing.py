"""The result of unpacking an archive: its images, the skipped members, and advice for refused archives.

Standard library only; `unpack` does the work.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from classifier.reasons import Advice

_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_DICOMDIR_CLASS = b"1.2.840.10008.1.3.10"
HEAD_BYTES = 1024
KIND_BYTES = 132  # enough to distinguish an archive from a DICOM file


class Skip(StrEnum):
    """Why a member of an archive does not become an upload."""

    SYSTEM_FILE = "system_file"
    DICOMDIR = "dicomdir"
    NOT_AN_IMAGE = "not_an_image"
    EMPTY = "empty"
    LINK = "link"
    ENCRYPTED = "encrypted"
    UNSUPPORTED_COMPRESSION = "unsupported_compression"
    DAMAGED = "damaged"
    TOO_LARGE = "too_large"
    NESTED_TOO_DEEP = "nested_too_deep"


SKIP_LABELS = {skip: skip.value.replace("_", " ") for skip in Skip} | {Skip.DICOMDIR: "DICOMDIR"}

NO_IMAGE, A_DOCUMENT = "archive contains no image", "document or program, not an archive of images"
DAMAGED, OVERLAPS = "archive is damaged", "files in the archive overlap"
ENCRYPTED, COMPRESSION = "archive is encrypted", "archive uses an unsupported compression method"
TOO_MUCH = "archive exceeds the limits"

# Advice for people, by the detail of the refusal.
ARCHIVE_ADVICE = {
    NO_IMAGE: Advice(
        "The archive contains no image.",
        "Upload a ZIP archive of DICOM, PNG, JPEG, TIFF or WebP files, or the files themselves.",
    ),
    A_DOCUMENT: Advice(
        "The file is a document or a program, not an archive of images.",
        "Export the images from the PACS as DICOM (or PNG, JPEG, TIFF, WebP) and upload them.",
    ),
    DAMAGED: Advice("The archive is damaged or incomplete.", "Create the ZIP again and upload the new copy."),
    OVERLAPS: Advice(
        "Files in the archive overlap: it is damaged or malicious.",
        "Create the ZIP again from the original files.",
    ),
    ENCRYPTED: Advice("The archive is encrypted.", "Unpack it with its password and upload the files."),
    COMPRESSION: Advice(
        "The archive uses an unsupported compression method.",
        "Create a ZIP with standard (deflate) compression.",
    ),
    TOO_MUCH: Advice(
        "The archive exceeds the limits.",
        "Split it: at most 2,000 images, 2 GiB unpacked, and 128 MiB per image.",
    ),
}


@dataclass(frozen=True)
class Member:
    """An unpacked file: its name in the archive (data, never a path), its file name now, its size."""

    name: str
    file: str
    size: int


@dataclass(frozen=True)
class Skipped:
    """The number of members skipped for one reason (a `Skip`), and the first few names."""

    reason: str
    count: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Unpacked:
    members: tuple[Member, ...]
    skipped: tuple[Skipped, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Unpacked:
        """The response of the parsing helper; raises ValueError for a file name that is not a number."""
        members = tuple(Member(**member) for member in raw["members"])
        if not all(member.file.isdecimal() for member in members):
            raise ValueError("unexpected file name in the response of the parsing helper")
        skipped = (Skipped(s["reason"], s["count"], tuple(s["names"])) for s in raw["skipped"])
        return cls(members, tuple(skipped))


def is_archive(head: bytes) -> bool:
    """Whether a file with these first bytes is a ZIP archive, not DICOM with a ZIP preamble (PS3.10 7.1)."""
    return head.startswith(_MAGICS) and head[128:132] != b"DICM"


def is_dicomdir(head: bytes) -> bool:
    """Whether a file with these first bytes is a DICOMDIR (PS3.10 8.6), which lists images and is none."""
    return head[128:132] == b"DICM" and _DICOMDIR_CLASS in head[:HEAD_BYTES]


def head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)
