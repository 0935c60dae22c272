"""Messages on the next page about what a form's action did or why it failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import messages
from django.http import HttpRequest

from webapp.core.errors import CodedError


def show_error(request: HttpRequest, error: CodedError) -> None:
    """The error as a message, with the invalid fields or the remedy; raises 403 and 404 again."""
    if error.code in ("forbidden", "not_found"):
        raise error
    fields = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in error.fields.items())
    messages.error(request, f"{error.message} {fields or error.remedy}")


@contextmanager
def errors_shown(request: HttpRequest) -> Iterator[None]:
    """Run an action; its CodedError becomes a message, see `show_error`."""
    try:
        yield
    except CodedError as error:
        show_error(request, error)
