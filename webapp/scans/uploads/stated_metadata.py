"""What the uploader states about a file: patient, study, date, modality. Validated, never trusted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from classifier.contract import Slot
from webapp.core.errors import CodedError
from webapp.scans.dicom_values import parse_date

LENGTH = 64
# No control characters, no invisible ones, none that change the writing direction: an identifier is what it
# looks like. The API's schema uses the pattern.
LINE = (
    r"[^\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff"
    "\U000e0000-\U000e0fff]"
)
_LINE = re.compile(f"{LINE}{{0,{LENGTH}}}")
MODALITIES = {"": "", "auto": "", "cxr": Slot.CXR, "cr": Slot.CXR, "dx": Slot.CXR, "ct": Slot.CT}


@dataclass(frozen=True)
class StatedMetadata:
    """`study` is an accession number or a StudyInstanceUID; `modality` is empty, `cxr` or `ct`."""

    patient_id: str = ""
    study: str = ""
    date: date | None = None
    modality: str = ""

    @classmethod
    def parse(cls, *, patient_id: str = "", study: str = "", date: str = "", modality: str = "") -> Self:
        """Parse the values of a form, a header or an API call; raises CodedError `metadata_invalid` (400)."""
        kind = (modality or "").strip().lower()
        if kind not in MODALITIES:
            raise _invalid("Unknown modality.", "Use auto, cxr or ct.")
        day = parse_date(date) if date else None
        if date and not day:
            raise _invalid("Invalid date.", "Use the form YYYY-MM-DD, such as 2026-11-20.")
        return cls(
            patient_id=_short(patient_id, "The patient identifier"),
            study=_short(study, "The study"),
            date=day,
            modality=str(MODALITIES[kind]),
        )

    @classmethod
    def of(cls, upload: Any) -> Self:
        """The metadata stated for an upload."""
        return cls(*(getattr(upload, f"stated_{name}") for name in cls.__dataclass_fields__))

    @property
    def columns(self) -> dict[str, object]:
        """The same as an upload's columns."""
        return {f"stated_{name}": value for name, value in vars(self).items()}


def is_uid(value: str) -> bool:
    """Whether a stated study is a UID (PS3.5 9.1) rather than an accession number."""
    return "." in value and value.replace(".", "").isdecimal()


def _short(value: str | None, what: str) -> str:
    value = value or ""
    if not _LINE.fullmatch(value):
        raise _invalid(
            f"{what} must be one line of at most {LENGTH} visible characters.", "Correct it and try again."
        )
    return value.strip()


def _invalid(message: str, remedy: str) -> CodedError:
    return CodedError("metadata_invalid", message=message, remedy=remedy, status=400)
