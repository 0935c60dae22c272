"""A refusal that arrives: what the caller is still sending is taken off the wire after the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import BinaryIO

from django.http import HttpRequest, HttpResponse

CHUNK = 1 << 16
MOST_BYTES = 512 << 20
MOST_SECONDS = 20.0


class UnreadBody:
    """Reads on, and throws away, what a view left of the body, within bounds.

    Closing a connection with data unread resets it, and many a client that is still sending then sees a
    broken pipe in place of the answer.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        declared = request.META.get("CONTENT_LENGTH") or ""
        if declared.isdigit() and int(declared) > CHUNK:  # the server itself takes the little that is less
            response._resource_closers.append(lambda: runner(request.META["wsgi.input"]))  # type: ignore[attr-defined]
        return response


def runner(stream: BinaryIO) -> None:
    """Read up to MOST_BYTES for up to MOST_SECONDS; a caller who falls silent or goes away ends it."""
    end, left = time.monotonic() + MOST_SECONDS, MOST_BYTES
    try:
        while left > 0 and time.monotonic() < end and (chunk := stream.read(CHUNK)):
            left -= len(chunk)
    except OSError:
        return
