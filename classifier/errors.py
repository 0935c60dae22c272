"""What the library raises when it will not read an image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from classifier.contract import RefusalReason


class Refused(Exception):
    """A file that is not read: `reason` is the coded answer, `detail` says more, without patient data."""

    def __init__(self, reason: RefusalReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


@contextmanager
def undecodable_if_broken() -> Iterator[None]:
    """Turn whatever a parser raises on broken bytes into Refused(undecodable)."""
    try:
        yield
    except (Refused, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # parsers raise anything, and a panic of Rust code is no Exception
        raise Refused(RefusalReason.UNDECODABLE, type(error).__name__) from error
