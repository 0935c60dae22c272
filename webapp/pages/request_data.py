"""Request data outside Django forms: keys, JSON lists of ids, raw bodies and their headers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest

from webapp.core.errors import CodedError
from webapp.core.http.json_body import parse_json

CHUNK = 1 << 18
MAX_IDS = 500


def uuid_or_none(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def json_object(request: HttpRequest) -> dict[str, Any]:
    """The JSON object of a body; raises CodedError `invalid`."""
    try:
        body = parse_json(request.body)
    except ValueError as error:
        raise CodedError("invalid") from error
    if not isinstance(body, dict):
        raise CodedError("invalid")
    return body


def posted_ids(request: HttpRequest) -> list[str]:
    """The `ids` of a JSON body; raises CodedError `invalid`."""
    try:
        return [str(value) for value in parse_json(request.body)["ids"][:MAX_IDS]]
    except (ValueError, KeyError, TypeError) as error:
        raise CodedError("invalid") from error


def declared_size(request: HttpRequest) -> int:
    """The body's size by its header; raises CodedError `length_required`, `empty_file`, `too_large`."""
    try:
        size = int(request.headers.get("Content-Length") or "")
    except ValueError as error:
        raise CodedError("length_required") from error
    if size <= 0:
        raise CodedError("empty_file")
    if size > settings.HILUM_MAX_ARCHIVE_BYTES:
        raise CodedError("too_large")
    return size


def upload_header(request: HttpRequest) -> dict[str, Any]:
    """The JSON object in the header X-Hilum-Upload of a raw body; raises CodedError `invalid`."""
    try:
        header = parse_json(unquote(request.headers.get("X-Hilum-Upload") or "{}"))
    except ValueError as error:
        raise CodedError("invalid") from error
    if not isinstance(header, dict):
        raise CodedError("invalid")
    return header


def body_chunks(request: HttpRequest, size: int) -> Iterator[bytes]:
    """The body in chunks; raises CodedError `incomplete` when it ends before its declared size."""
    left = size
    while left > 0:
        chunk = request.read(min(CHUNK, left))
        if not chunk:
            raise CodedError("incomplete")
        left -= len(chunk)
        yield chunk
