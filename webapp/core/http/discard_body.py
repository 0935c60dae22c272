"""Lets a refusal arrive: the rest of the request body is read and discarded after the response."""

from __future__ import annotations

import time
from typing import BinaryIO

from django.http import HttpRequest, HttpResponse

from webapp.core.http.middleware import Middleware

CHUNK = 1 << 16
MOST_BYTES = 512 << 20
MOST_SECONDS = 20.0


class DiscardBody(Middleware):
    """Discards what a view left of the body, within bounds.

    Closing a connection with unread data resets it, and a client that is still sending sees a broken pipe
    instead of the response.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        declared = request.META.get("CONTENT_LENGTH") or ""
        if declared.isdigit() and int(declared) > CHUNK:  # the server itself takes the little that is less
            response._resource_closers.append(lambda: discard(request.META["wsgi.input"]))  # type: ignore[attr-defined]
        return response


def discard(stream: BinaryIO) -> None:
    """Read up to MOST_BYTES for up to MOST_SECONDS; a client that stops or disconnects ends it."""
    end, left = time.monotonic() + MOST_SECONDS, MOST_BYTES
    try:
        while left > 0 and time.monotonic() < end and (chunk := stream.read(CHUNK)):
            left -= len(chunk)
    except OSError:
        return
