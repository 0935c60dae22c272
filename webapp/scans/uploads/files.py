"""The files behind uploads and scans: received by streaming, named by our UUIDs, kept in `core.storage`."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from classifier.images.archive.listing import KIND_BYTES, is_archive
from classifier.images.limits import MAX_FILE_BYTES
from webapp.core import storage
from webapp.core.errors import CodedError

if TYPE_CHECKING:
    from classifier.images.decoded_image import ParseResult

KINDS = ("display", "working", "preview")
ORIGINAL = "original"


@dataclass(frozen=True)
class Received:
    """Bytes that have arrived under `path` in the incoming folder; nothing is recorded of them yet."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class StoredFile:
    name: str
    sha256: str


@dataclass(frozen=True)
class ParsedScan:
    """One image of an upload: what the parsing helper found out, and where its files are kept now.

    `original` is the file without identity, which takes the place of the one that came.
    """

    id: uuid.UUID
    facts: ParseResult
    files: dict[str, StoredFile]

    @property
    def original(self) -> StoredFile | None:
        return self.files.get(ORIGINAL)


def most_bytes(head: bytes, *, max_bytes: int = MAX_FILE_BYTES) -> int:
    """How large a file may be that begins so: an archive may be larger than a single image."""
    return settings.HILUM_MAX_ARCHIVE_BYTES if is_archive(head) else max_bytes


def receive(chunks: Iterable[bytes], *, declared: int = 0, max_bytes: int = MAX_FILE_BYTES) -> Received:
    """Stream into the incoming folder while hashing; keeps nothing when it raises.

    Raises CodedError `too_large` (413) as soon as the received or the `declared` size exceeds the limit for
    this kind of file; `empty_file` (400).
    """
    path = incoming_folder() / uuid.uuid4().hex
    digest, size, head = hashlib.sha256(), 0, b""
    try:
        with path.open("xb") as file:
            for chunk in chunks:
                size += len(chunk)
                head += chunk[: KIND_BYTES - len(head)]
                expected = declared if len(head) == KIND_BYTES else 0
                if max(size, expected) > most_bytes(head, max_bytes=max_bytes):
                    raise CodedError("too_large")
                digest.update(chunk)
                file.write(chunk)
        if not size:
            raise CodedError("empty_file")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Received(path=path, sha256=digest.hexdigest(), size=size)


def incoming_folder() -> Path:
    folder = settings.HILUM_DATA / "incoming"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def original_name(upload_id: uuid.UUID) -> str:
    return f"{upload_id.hex[:2]}/{upload_id}/original"


def store_parsed(*, scan_id: uuid.UUID, token: uuid.UUID, facts: ParseResult, folder: Path) -> ParsedScan:
    """Move the images that the helper wrote into `folder` to the media store, under names of this attempt.

    The attempt's token in the name keeps a late duplicate from overwriting what the rows already name.
    """
    parsed = ParsedScan(id=scan_id, facts=facts, files={})
    try:
        for kind in (*KINDS, ORIGINAL) if ORIGINAL in facts.files else KINDS:
            source = Path(folder) / facts.files[kind]
            suffix = "" if kind == ORIGINAL else ".png"
            name = f"{scan_id.hex[:2]}/{scan_id}/{token.hex[:8]}-{kind}{suffix}"
            sha256 = file_sha256(source)
            storage.put_file(source, name)
            parsed.files[kind] = StoredFile(name=name, sha256=sha256)
    except BaseException:
        discard_parsed(parsed)
        raise
    return parsed


def discard_parsed(parsed: ParsedScan) -> None:
    """Remove the images of an attempt that no row will name."""
    for file in parsed.files.values():
        storage.delete_file(file.name)


def file_sha256(path: Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
