"""Exceptions of the library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from classifier.reasons import RefusalReason

NOT_AN_ARTIFACT = "not_an_artifact"
HASH_MISMATCH = "hash_mismatch"
UNSUPPORTED_VERSION = "unsupported_version"
KEY_MISMATCH = "key_mismatch"
GOLDEN_MISMATCH = "golden_mismatch"


class Refused(Exception):
    """The file is refused, for a coded reason; `detail` explains it without patient data."""

    def __init__(self, reason: RefusalReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class ArtifactError(Exception):
    """The artifact cannot be used; `code` is one of the constants above, `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@contextmanager
def refuse_broken_bytes() -> Iterator[None]:
    """Raise Refused(undecodable) for whatever a parser raises on broken bytes."""
    try:
        yield
    except (Refused, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust code is not an Exception
        raise Refused(RefusalReason.UNDECODABLE, type(error).__name__) from error
