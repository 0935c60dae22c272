"""Unpacks the images of a ZIP archive; untrusted archives are unpacked in the parsing helper only.

Member names are data, never paths: unpacked files get numbers as names. Declared sizes may only serve to
refuse an archive; the bytes that are unpacked are counted in any case.
"""

from __future__ import annotations

import errno
import io
import stat
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from pathlib import Path

from classifier.errors import Refused
from classifier.images.archive.listing import (
    A_DOCUMENT,
    COMPRESSION,
    DAMAGED,
    ENCRYPTED,
    NO_IMAGE,
    OVERLAPS,
    TOO_MUCH,
    Member,
    Skip,
    Skipped,
    Unpacked,
    is_archive,
    is_dicomdir,
)
from classifier.images.archive.names import readable_names
from classifier.images.limits import ArchiveLimits
from classifier.reasons import RefusalReason

PIECE = 1 << 20
NAMES_KEPT = 5
NAME_LENGTH = 255
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 0x1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_IMAGE_ENDINGS = (".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
_SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
# Office and OpenDocument files and Java programs are ZIP archives too.
_DOCUMENTS = {"[Content_Types].xml", "mimetype", "META-INF/MANIFEST.MF"}


def unpack(path: Path | str, folder: Path | str, limits: ArchiveLimits | None = None) -> Unpacked:
    """Unpack the images of an archive into `folder`; archives inside it are unpacked one level deep.

    Raises Refused(not_an_image | undecodable | too_large) for the whole archive, with a key of ARCHIVE_ADVICE
    as its detail, and OSError where the archive or `folder` is not usable.
    """
    path, limits = Path(path), limits or ArchiveLimits()
    work = _Unpacking(Path(folder), limits, limits.allowed_bytes(path.stat().st_size))
    work.open(path)
    if not work.members:
        raise _no_image({skip for skip, _ in work.skipped})
    return Unpacked(tuple(work.members), tuple(_by_reason(work.skipped)))


class _Damaged(Exception):
    """A member cannot be decompressed completely."""


class _Unpacking:
    """`allowed`: bytes that the archive, with those inside it, may unpack to."""

    def __init__(self, folder: Path, limits: ArchiveLimits, allowed: int) -> None:
        self.folder, self.limits, self.allowed = folder, limits, allowed
        self.members: list[Member] = []
        self.skipped: list[tuple[Skip, str]] = []
        self.written = self._files = 0

    def open(self, path: Path, prefix: str = "") -> None:
        with _Bounded(io.FileIO(path), self.limits.directory_bytes) as file:
            archive = _opened(file)
            self._check_directory(archive.infolist())
            names = readable_names(archive.infolist())
            for entry, readable in zip(archive.infolist(), names, strict=True):
                if readable.endswith("/"):
                    continue
                name = _shown(prefix + printable(readable))
                skip = _skip_by_entry(entry, readable) or self._extract(
                    archive, entry, name, nested=bool(prefix)
                )
                if skip:
                    self.skipped.append((skip, name))

    def _check_directory(self, entries: list[zipfile.ZipInfo]) -> None:
        """Refuse what the directory alone shows to be unacceptable."""
        if len(entries) > self.limits.entries:
            raise Refused(RefusalReason.TOO_LARGE, TOO_MUCH)
        if self.written + sum(entry.file_size for entry in entries) > self.allowed:
            raise Refused(RefusalReason.TOO_LARGE, TOO_MUCH)
        for one, next_one in pairwise(sorted(entries, key=lambda entry: entry.header_offset)):
            end = one.header_offset + _LOCAL_HEADER_BYTES + one.compress_size
            if end > next_one.header_offset:
                raise Refused(RefusalReason.UNDECODABLE, OVERLAPS)
        if any(entry.filename in _DOCUMENTS for entry in entries):
            raise Refused(RefusalReason.NOT_AN_IMAGE, A_DOCUMENT)

    def _extract(
        self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, *, nested: bool
    ) -> Skip | None:
        pieces = self._pieces(archive, entry)
        try:
            head = next(pieces, b"")
            if is_archive(head):
                whole = chain([head], pieces)
                return Skip.NESTED_TOO_DEEP if nested else self._extract_archive(whole, f"{name}/")
            skip = _skip_by_content(head, name)
            return skip or self._extract_image(chain([head], pieces), name)
        except _Damaged:
            return Skip.DAMAGED

    def _extract_image(self, pieces: Iterable[bytes], name: str) -> Skip | None:
        path = self._next_path()
        try:
            size = _write(path, pieces, self.limits.member_bytes)
        except _Damaged:
            path.unlink(missing_ok=True)
            raise
        if size is None:
            return Skip.TOO_LARGE
        if len(self.members) == self.limits.images:
            raise Refused(RefusalReason.TOO_LARGE, TOO_MUCH)
        self.members.append(Member(name, path.name, size))
        return None

    def _extract_archive(self, pieces: Iterable[bytes], prefix: str) -> Skip | None:
        path, before = self._next_path(), len(self.members)
        try:
            _write(path, pieces, self.allowed)
            self.open(path, prefix)
        except Refused as refused:
            if refused.reason is RefusalReason.TOO_LARGE:
                # Such as the viewer on a patient CD: the images next to it count.
                if len(self.members) == before:
                    return Skip.TOO_LARGE
                raise
            return Skip.DAMAGED if refused.reason is RefusalReason.UNDECODABLE else Skip.NOT_AN_IMAGE
        finally:
            path.unlink(missing_ok=True)
        return None

    def _next_path(self) -> Path:
        self._files += 1
        return self.folder / str(self._files)

    def _pieces(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
        """The bytes of a member, counted. Raises _Damaged, and Refused when they exceed the limit."""
        try:
            with archive.open(entry) as source:
                while piece := source.read(PIECE):
                    self.written += len(piece)
                    if self.written > self.allowed:
                        raise Refused(RefusalReason.TOO_LARGE, TOO_MUCH)
                    yield piece
        except (Refused, MemoryError):
            raise
        except Exception as error:
            raise_if_disk(error)
            raise _Damaged from error


class _Bounded(io.BufferedReader):
    """Limits a single read to the size of a directory, which zipfile reads in one piece."""

    def __init__(self, raw: io.FileIO, most: int) -> None:
        super().__init__(raw)
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self.most + 1 if size is None or size < 0 else min(size, self.most + 1)
        data = super().read(wanted)
        if len(data) > self.most:
            raise Refused(RefusalReason.TOO_LARGE, TOO_MUCH)
        return data


def _opened(file: io.BufferedReader) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (Refused, MemoryError):
        raise
    except Exception as error:
        raise_if_disk(error)
        raise Refused(RefusalReason.UNDECODABLE, DAMAGED) from error


def raise_if_disk(error: Exception) -> None:
    """Re-raise an error of the disk; EINVAL comes from an impossible offset in the archive."""
    if isinstance(error, OSError) and error.errno != errno.EINVAL:
        raise error


def _write(path: Path, pieces: Iterable[bytes], most: int) -> int | None:
    """Write the pieces to a new file and return its size; more than `most` bytes: no file, and None."""
    size = 0
    with path.open("xb") as file:
        for piece in pieces:
            size += len(piece)
            if size > most:
                break
            file.write(piece)
    if size > most:
        path.unlink()
        return None
    return size


def _skip_by_entry(entry: zipfile.ZipInfo, readable: str) -> Skip | None:
    *folders, name = readable.replace("\\", "/").split("/")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if "__MACOSX" in folders or name.startswith(".") or name.lower() in _SYSTEM_FILES:
        return Skip.SYSTEM_FILE
    if kind not in (0, stat.S_IFREG):
        return Skip.LINK
    if name.upper() == "DICOMDIR":
        return Skip.DICOMDIR
    if entry.flag_bits & _ENCRYPTED:
        return Skip.ENCRYPTED
    if entry.compress_type not in _METHODS:
        return Skip.UNSUPPORTED_COMPRESSION
    return None if entry.file_size else Skip.EMPTY


def _skip_by_content(head: bytes, name: str) -> Skip | None:
    """Files with the name of an image are kept too: reading them yields a specific refusal."""
    from classifier.images.dicom.header import is_dicom
    from classifier.images.raster.reader import format_of

    if is_dicomdir(head):
        return Skip.DICOMDIR
    if format_of(head) or is_dicom(head) or name.lower().endswith(_IMAGE_ENDINGS):
        return None
    return Skip.NOT_AN_IMAGE


def _no_image(skips: set[Skip]) -> Refused:
    """The refusal of an archive without usable images, by the most actionable of the reasons."""
    for skip, reason, detail in (
        (Skip.ENCRYPTED, RefusalReason.UNDECODABLE, ENCRYPTED),
        (Skip.UNSUPPORTED_COMPRESSION, RefusalReason.UNDECODABLE, COMPRESSION),
        (Skip.DAMAGED, RefusalReason.UNDECODABLE, DAMAGED),
        (Skip.TOO_LARGE, RefusalReason.TOO_LARGE, TOO_MUCH),
    ):
        if skip in skips:
            return Refused(reason, detail)
    return Refused(RefusalReason.NOT_AN_IMAGE, NO_IMAGE)


def _by_reason(skipped: list[tuple[Skip, str]]) -> Iterator[Skipped]:
    for reason in Skip:
        names = [name for skip, name in skipped if skip is reason]
        if names:
            yield Skipped(reason.value, len(names), tuple(names[:NAMES_KEPT]))


def printable(name: str) -> str:
    """A member name that is safe to display: one line, no parent or root paths, no text direction marks."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "".join(c if c.isprintable() else "\ufffd" for c in "/".join(parts)) or "unnamed"


def _shown(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"…{name[1 - NAME_LENGTH :]}"
