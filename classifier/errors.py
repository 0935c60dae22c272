"""Exceptions of the image reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from classifier.contract import RefusalReason


class Refused(Exception):
    """The file is refused, for a coded reason; `detail` explains it without patient data."""

    def __init__(self, reason: RefusalReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


@contextmanager
def refuse_broken_bytes() -> Iterator[None]:
    """Raise Refused(undecodable) for whatever a parser raises on broken bytes."""
    try:
        yield
    except (Refused, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust code is not an Exception
        raise Refused(RefusalReason.UNDECODABLE, type(error).__name__) from error
