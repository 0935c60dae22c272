"""What is said of archives: what was in one, what was skipped and why, and why a whole one is refused.

Standard library only; unpacking itself is in `archive`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from classifier.contract import Advice

_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_DICOMDIR_CLASS = b"1.2.840.10008.1.3.10"
HEAD_BYTES = 1024
KIND_BYTES = 132  # by which an archive is told from a DICOM file


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


SKIPS = {
    Skip.SYSTEM_FILE: "system file",
    Skip.DICOMDIR: "DICOMDIR",
    Skip.NOT_AN_IMAGE: "not an image",
    Skip.EMPTY: "empty",
    Skip.LINK: "link",
    Skip.ENCRYPTED: "encrypted",
    Skip.UNSUPPORTED_COMPRESSION: "unsupported compression",
    Skip.DAMAGED: "damaged",
    Skip.TOO_LARGE: "too large",
    Skip.NESTED_TOO_DEEP: "nested too deep",
}

NO_IMAGE, A_DOCUMENT = "no image in the archive", "a document or a program"
DAMAGED, OVERLAPS = "a damaged archive", "an archive whose files overlap"
ENCRYPTED, COMPRESSION = "an encrypted archive", "an archive in an unsupported compression"
TOO_MUCH = "more than one archive may hold"

# What a person is told of an archive that is refused, by the detail of the refusal.
ARCHIVE_ADVICE = {
    NO_IMAGE: Advice(
        "No image was found in the archive.",
        "Upload a ZIP of DICOM, PNG, JPEG, TIFF or WebP files, or the files.",
    ),
    A_DOCUMENT: Advice(
        "This is a document or a program, not an archive of images.",
        "Export the images from the PACS as DICOM (or PNG, JPEG, TIFF, WebP) and upload those.",
    ),
    DAMAGED: Advice(
        "The archive is damaged or incomplete.", "Make the ZIP again from the files and upload the new copy."
    ),
    OVERLAPS: Advice(
        "The files in the archive overlap: it is damaged, or made to do harm.",
        "Make the ZIP again from the files themselves.",
    ),
    ENCRYPTED: Advice(
        "The files in the archive are encrypted.", "Unpack it with its password and upload what is inside."
    ),
    COMPRESSION: Advice(
        "The archive is compressed in a way that is not read.",
        "Make a plain ZIP (deflate) of the files.",
    ),
    TOO_MUCH: Advice(
        "The archive unpacks to more than is accepted.",
        "Split it: an archive may hold 2,000 images and unpack to 2 GiB, one image to 128 MiB.",
    ),
}


@dataclass(frozen=True)
class Member:
    """One unpacked file: its name in the archive (data, never a path), where it lies now, its bytes."""

    name: str
    file: str
    size: int


@dataclass(frozen=True)
class Skipped:
    """How many members were left out for one reason (a `Skip`), with the first few names."""

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
        """What the helper said; raises ValueError for a file that it could not have named so."""
        members = tuple(Member(**member) for member in raw["members"])
        if not all(member.file.isdecimal() for member in members):
            raise ValueError("a member lies under a foreign name")
        skipped = (Skipped(s["reason"], s["count"], tuple(s["names"])) for s in raw["skipped"])
        return cls(members, tuple(skipped))


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so is a ZIP archive; a DICOM preamble may look like one (PS3.10 7.1)."""
    return head.startswith(_MAGICS) and head[128:132] != b"DICM"


def is_dicomdir(head: bytes) -> bool:
    """Whether a file that begins so is a DICOMDIR (PS3.10 8.6): a directory of images, itself none."""
    return head[128:132] == b"DICM" and _DICOMDIR_CLASS in head[:HEAD_BYTES]


def head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)
