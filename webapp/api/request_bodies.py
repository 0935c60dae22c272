"""Uploaded bytes over HTTP: checked by their declared size, stopped at the limit, complete or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from classifier.images.archive.listing import KIND_BYTES
from webapp.core.errors import CodedError
from webapp.scans.uploads.files import most_bytes

MULTIPART_ALLOWANCE = 64 * 1024  # the fields and boundaries around the file itself
CHUNK_BYTES = 64 * 1024
KEY = re.compile(r"[\x21-\x7e]{1,200}")


@contextmanager
def bounded(request: Request, *, several: bool = False) -> Iterator[None]:
    """Around the reading of a multipart body, with one file or with `several`.

    Raises CodedError `length_required` (411), `too_large` (413), `incomplete` (400) for an interrupted one:
    Django's parser takes the part that has arrived for the whole file.
    """
    check_declared_size(request)
    limit = FileLimit(request, several=several)
    request.upload_handlers.insert(0, limit)
    try:
        yield
    except ParseError:
        limit.check()
        _read_to_the_end(request)
        _check_complete(request)
        raise
    limit.check()
    _check_complete(request)


def check_repeated(data: Any, several: str = "") -> None:
    """Raise CodedError `invalid` for a form field, other than `several`, that is given more than once."""
    if repeated := [name for name in data if name != several and len(data.getlist(name)) > 1]:
        raise CodedError("invalid", fields={name: ["Give it once."] for name in repeated})


def _read_to_the_end(request: Request) -> None:
    """Read what a parser left of the body; a client that stops or disconnects ends it."""
    try:
        while request.read(CHUNK_BYTES):
            pass
    except OSError:
        return


def _check_complete(request: Request) -> None:
    # Django has no public count of the bytes that have come.
    if request._request._stream._pos < int(request.META["CONTENT_LENGTH"]):
        raise CodedError("incomplete")


def idempotency_key(request: Request) -> str:
    """The header Idempotency-Key, empty without one; raises CodedError `idempotency_key_invalid`."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        raise CodedError("idempotency_key_invalid")
    return key or ""


def check_declared_size(request: Request) -> None:
    """Refuse by Content-Length alone; raises CodedError `length_required` (411) or `too_large` (413)."""
    declared = request.META.get("CONTENT_LENGTH") or ""
    if not declared.isdigit():
        raise CodedError("length_required")
    if int(declared) > settings.HILUM_MAX_ARCHIVE_BYTES + MULTIPART_ALLOWANCE:
        raise CodedError("too_large")


class DicomParser(BaseParser):
    """A raw `application/dicom` body: the view reads the stream by `chunks_of`."""

    media_type = "application/dicom"

    def parse(self, stream: BinaryIO, media_type: str | None = None, parser_context: Any = None) -> BinaryIO:
        return stream


def chunks_of(request: Request) -> Iterator[bytes]:
    """The chunks of a raw body; raises CodedError `incomplete` at the end of an interrupted one."""
    left = int(request.META["CONTENT_LENGTH"])
    while chunk := request.stream.read(min(CHUNK_BYTES, left)) if left else b"":
        left -= len(chunk)
        yield chunk
    if left:
        raise CodedError("incomplete")


class FileLimit(FileUploadHandler):
    """Stops a file as soon as its first bytes, or their number, show that it is larger than its kind may be.

    Comes before the handlers that keep it, which then drop what they have; call `check` once all is read.
    """

    declared = 0
    passed = False

    def __init__(self, request=None, *, several: bool = False) -> None:
        super().__init__(request)
        self.several = several

    def check(self) -> None:
        """Raise CodedError `too_large` (413) if the file was stopped."""
        if self.passed:
            raise CodedError("too_large")

    def handle_raw_input(self, input_data, META, content_length, boundary, encoding=None) -> None:
        self.declared = 0 if self.several else content_length - MULTIPART_ALLOWANCE

    def new_file(self, *args, **kwargs) -> None:
        super().new_file(*args, **kwargs)
        self.head = b""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self.head += raw_data[: KIND_BYTES - len(self.head)]
        declared = self.declared if len(self.head) == KIND_BYTES else 0
        if max(start + len(raw_data), declared) > most_bytes(self.head):
            self.passed = True
            raise StopUpload(connection_reset=True)
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None
