"""Bytes that come in over HTTP: judged by their declared size, stopped at a bound, whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from classifier.images.archive.listing import KIND_BYTES
from webapp.core.errors import CodedError
from webapp.core.http.discard_body import runner
from webapp.scans.uploads.files import most_bytes

MULTIPART_ALLOWANCE = 64 * 1024  # the fields and boundaries around the file itself
KEY = re.compile(r"[\x21-\x7e]{1,200}")


@contextmanager
def bounded(request: Request, *, several: bool = False) -> Iterator[None]:
    """Around the reading of a multipart body, of one file or of `several`.

    Raises CodedError `length_required` (411), `too_large` (413), `incomplete` (400) for one that broke off:
    Django's parser takes the part that has come for the whole file.
    """
    check_declared_size(request, settings.HILUM_MAX_ARCHIVE_BYTES)
    limit = FileLimit(request._request, several=several)
    request._request.upload_handlers.insert(0, limit)
    try:
        yield
    except ParseError:
        limit.check()
        runner(request._request)
        _check_whole(request)
        raise
    limit.check()
    _check_whole(request)


def said_once(request: Request, names: Iterable[str]) -> None:
    """Raise CodedError `invalid` for one of these fields of a form that comes more than once."""
    if not request.data:  # a plain dict where there was no body
        return
    if repeated := [name for name in names if len(request.data.getlist(name)) > 1]:
        raise CodedError("invalid", fields={name: ["Send it once."] for name in repeated})


def _check_whole(request: Request) -> None:
    stream = request._request._stream  # Django's LimitedStream, which counts what has come
    if stream._pos < int(request.META["CONTENT_LENGTH"]):
        raise CodedError("incomplete")


def idempotency_key(request: Request) -> str:
    """The header Idempotency-Key, empty without one; raises CodedError `idempotency_key_invalid`."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        raise CodedError("idempotency_key_invalid")
    return key or ""


def check_declared_size(request: Request, limit: int) -> None:
    """Refuse by Content-Length alone; raises CodedError `length_required` (411) or `too_large` (413)."""
    declared = request.META.get("CONTENT_LENGTH") or ""
    if not declared.isdigit():
        raise CodedError("length_required")
    if int(declared) > limit + MULTIPART_ALLOWANCE:
        raise CodedError("too_large")


class FileLimit(FileUploadHandler):
    """Stops a file as soon as its first bytes, or their number, say that it is larger than its kind may be.

    Goes before the handlers that keep it, which then drop what they have; ask `check` once all is read.
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
