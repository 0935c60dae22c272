"""What somebody says of a file they hand in: patient, study, date, kind. Checked, never trusted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from classifier.contract import Slot
from webapp.core.errors import CodedError
from webapp.scans.dicom_values import parse_date

LENGTH = 64
# No control characters, and nothing that is not seen or turns the direction of writing: an identifier is what
# it looks like. As a pattern it stands in the API's description.
LINE = (
    r"[^\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff"
    "\U000e0000-\U000e0fff]"
)
_LINE = re.compile(f"{LINE}{{0,{LENGTH}}}")
MODALITIES = {"": "", "auto": "", "cxr": Slot.CXR, "cr": Slot.CXR, "dx": Slot.CXR, "ct": Slot.CT}


@dataclass(frozen=True)
class Claim:
    """`study` is an accession number or a StudyInstanceUID; `modality` is empty, `cxr` or `ct`."""

    patient_id: str = ""
    study: str = ""
    date: date | None = None
    modality: str = ""

    @classmethod
    def parse(cls, *, patient_id: str = "", study: str = "", date: str = "", modality: str = "") -> Self:
        """Read what a form, a header or an API call says; raises CodedError `claim_invalid` (400)."""
        kind = (modality or "").strip().lower()
        if kind not in MODALITIES:
            raise _invalid("The kind of image is unknown.", "Use auto, cxr or ct.")
        day = parse_date(date) if date else None
        if date and not day:
            raise _invalid("The date cannot be read.", "Write it as 2026-11-20.")
        return cls(
            patient_id=_short(patient_id, "The patient identifier"),
            study=_short(study, "The study"),
            date=day,
            modality=str(MODALITIES[kind]),
        )

    @classmethod
    def of(cls, upload: Any) -> Self:
        """What was claimed of an upload."""
        return cls(
            patient_id=upload.claimed_patient_id,
            study=upload.claimed_study,
            date=upload.claimed_date,
            modality=upload.claimed_modality,
        )

    @property
    def columns(self) -> dict[str, object]:
        """The claim as an upload's columns."""
        return {
            "claimed_patient_id": self.patient_id,
            "claimed_study": self.study,
            "claimed_date": self.date,
            "claimed_modality": self.modality,
        }


def is_uid(value: str) -> bool:
    """Whether a claimed study is a UID (PS3.5 9.1) and no accession number."""
    return "." in value and value.replace(".", "").isdecimal()


def _short(value: str | None, what: str) -> str:
    value = value or ""
    if not _LINE.fullmatch(value):
        raise _invalid(
            f"{what} is not a line of at most {LENGTH} characters that are seen.", "Mend it and try again."
        )
    return value.strip()


def _invalid(message: str, remedy: str) -> CodedError:
    return CodedError("claim_invalid", message=message, remedy=remedy, status=400)
