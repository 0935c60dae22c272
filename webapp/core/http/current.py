"""The request that is being served, and the records that it has read: for what happens far from the view."""

from __future__ import annotations

from contextvars import ContextVar

from django.db.models import Model
from django.http import HttpRequest

current_request: ContextVar[HttpRequest | None] = ContextVar("current_request", default=None)
_RECORDS = "_records_read"


def note_read(record: Model) -> None:
    """Remember that this request has read the record; outside of a request this does nothing."""
    request = current_request.get()
    if request is not None:
        records_read(request).append(record)


def records_read(request: HttpRequest) -> list[Model]:
    """The records that the request has looked up by their id, in order."""
    known: list[Model] | None = getattr(request, _RECORDS, None)
    if known is None:
        known = []
        setattr(request, _RECORDS, known)
    return known
