"""Statuses of a C-STORE response (PS3.4 table B.2-1, PS3.7 annex C)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

COMMENT_LENGTH = 64  # VR LO


@dataclass(frozen=True)
class Status:
    """`again`: the same object may succeed later. `meaning` also is the sender's ErrorComment."""

    code: int
    meaning: str
    again: bool = False

    def as_dataset(self) -> Dataset:
        response = Dataset()
        response.Status = self.code
        if self.code:
            response.ErrorComment = self.meaning[:COMMENT_LENGTH]
        return response


SUCCESS = Status(0x0000, "Stored: flushed to disk and recorded")
OUT_OF_RESOURCES = Status(0xA700, "No space, or too many files wait: send again later", again=True)
MISMATCH = Status(0xA900, "SOP class differs from the presentation context")
TOO_LARGE = Status(0xC001, "The object exceeds the size limit")
EMPTY = Status(0xC002, "The data set is empty")
CONFLICT = Status(0xC003, "This object is filed to another patient")
FAILED = Status(0x0110, "Internal error: see the log of the receiver", again=True)
NOT_AUTHORIZED = Status(0x0124, "The sender may not store at this site")
INVALID_INSTANCE = Status(0x0117, "The SOP Instance UID is not valid")
NO_REPORT_ADDRESS = Status(0x0110, "No address for the commitment report is configured")
INVALID_ARGUMENT = Status(0x0115, "The commitment request cannot be understood")
NO_SUCH_ACTION = Status(0x0123, "Only action type 1 is known")
STATUSES = (
    SUCCESS,
    OUT_OF_RESOURCES,
    MISMATCH,
    TOO_LARGE,
    EMPTY,
    CONFLICT,
    FAILED,
    NOT_AUTHORIZED,
    INVALID_INSTANCE,
)
# What the site's services refuse, by the error's code.
BY_CODE = {
    "too_large": TOO_LARGE,
    "empty_file": EMPTY,
    "patient_conflict": CONFLICT,
    "unavailable": OUT_OF_RESOURCES,
    "disk_full": OUT_OF_RESOURCES,
    "queue_full": OUT_OF_RESOURCES,
    "upload_quota": OUT_OF_RESOURCES,
}
