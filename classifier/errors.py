"""What the library raises when it will not read a picture."""

from __future__ import annotations

from classifier.contract import RefusalReason


class Refused(Exception):
    """A file that is not read: `reason` is the coded answer, `detail` says more, without patient data."""

    def __init__(self, reason: RefusalReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail
