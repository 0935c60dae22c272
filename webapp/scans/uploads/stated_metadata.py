"""What the uploader states about a file: patient, study, date, modality. Validated, never trusted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from classifier.contract import Slot
from webapp.core.errors import CodedError
from webapp.scans.dicom_values import parse_date

LENGTH, VIEW_LENGTH = 64, 16
# No control characters, no invisible ones, none that change the writing direction: an identifier is what it
# looks like. The API's schema uses the pattern.
LINE = (
    r"[^\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff"
    "\U000e0000-\U000e0fff]"
)
_LINE = re.compile(f"{LINE}{{0,{LENGTH}}}")
# Views as DICOM writes them (PS3.3 C.8.11.5), and what manifests call them.
VIEWS = {
    "POSTEROANTERIOR": "PA", "ANTEROPOSTERIOR": "AP", "AP SUPINE": "AP", "AP ERECT": "AP", "LAT": "LATERAL",
}  # fmt: skip
UNKNOWN = ("", "U", "UNKNOWN", "NA", "N/A", "NAN", "NONE", "NULL", "?")
SEXES = {
    "M": "M", "F": "F", "O": "O", "MALE": "M", "FEMALE": "F", "OTHER": "O",
}  # fmt: skip
_AGE = re.compile(r"0*(\d{1,3})([DWMY]?)", re.ASCII | re.IGNORECASE)
_DECIMAL_AGE = re.compile(r"\d{1,3}\.\d*", re.ASCII)
MODALITIES = {"": "", "auto": "", "cxr": Slot.CXR, "cr": Slot.CXR, "dx": Slot.CXR, "ct": Slot.CT}


@dataclass(frozen=True)
class StatedMetadata:
    """`study` is an accession number or a StudyInstanceUID; `modality` is empty, `cxr` or `ct`.

    `view`, `sex` and `age` as DICOM writes them (`PA`, `F`, `064Y`). `date_relative`: the date keeps
    the order and distance of a patient's studies, but the day is made up.
    """

    patient_id: str = ""
    study: str = ""
    date: date | None = None
    modality: str = ""
    view: str = ""
    sex: str = ""
    age: str = ""
    date_relative: bool = False

    @classmethod
    def parse(
        cls,
        *,
        patient_id: str = "",
        study: str = "",
        date: str = "",
        modality: str = "",
        view: str = "",
        sex: str = "",
        age: str = "",
        date_relative: bool | str = False,
    ) -> Self:
        """Parse the values of a form, a header or an API call; raises CodedError `metadata_invalid` (400)."""
        kind = (modality or "").strip().lower()
        if kind not in MODALITIES:
            raise _invalid(f"“{shown(modality)}” is not a known modality.", "Use auto, cxr or ct.")
        day = parse_date(date) if date else None
        if date and not day:
            raise _invalid(
                f"“{shown(date)}” is not a valid date.", "Use the form YYYY-MM-DD, such as 2026-11-20."
            )
        return cls(
            patient_id=_short(patient_id, "The patient identifier"),
            study=_short(study, "The study"),
            date=day,
            modality=str(MODALITIES[kind]),
            view=_view(view),
            sex=_sex(sex),
            age=_age(age),
            date_relative=bool(day) and str(date_relative).lower() in ("true", "1"),
        )

    @classmethod
    def usable(cls, **values: str) -> dict[str, str]:
        """Those of the values of view, sex and age that can be stated, for lists nobody can correct."""
        found = {}
        for name, value in values.items():
            try:
                found[name] = getattr(cls.parse(**{name: value}), name)
            except CodedError:
                continue
        return found

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


def shown(value: object, most: int = 40) -> str:
    """A value as an error quotes it: on one line, visible, cut where it is long."""
    text = "".join(character if character.isprintable() else "�" for character in str(value))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _code(value: str) -> str:
    """The value in capitals, empty where it means unknown."""
    code = " ".join((value or "").upper().replace("_", " ").split())
    return "" if code in UNKNOWN else code


def _view(value: str) -> str:
    code = VIEWS.get(_code(value), _code(value))
    if len(code) > VIEW_LENGTH or not _LINE.fullmatch(code):
        raise _invalid(f"“{shown(value)}” is not a view.", "Use PA, AP, LL, RL or lateral.")
    return code


def _sex(value: str) -> str:
    code = _code(value)
    if code and code not in SEXES:
        raise _invalid(f"“{shown(value)}” is not a known sex.", "Use F, M or O, or leave it empty.")
    return SEXES.get(code, "")


def _age(value: str) -> str:
    """An age as PatientAge (0010,1010): `64`, `64.5` and `064Y` are `064Y`."""
    stated, value = value, _code(value)
    if _DECIMAL_AGE.fullmatch(value):
        value = value.split(".")[0]
    if not value:
        return ""
    match = _AGE.fullmatch(value)
    if not match:
        raise _invalid(f"“{shown(stated)}” is not a valid age.", "Use years, such as 64, or leave it empty.")
    return f"{int(match[1]):03}{match[2].upper() or 'Y'}"


def _short(value: str | None, what: str) -> str:
    value = value or ""
    if not _LINE.fullmatch(value):
        raise _invalid(
            f"{what} “{shown(value)}” must be one line of at most {LENGTH} visible characters.",
            "Correct it and try again.",
        )
    return value.strip()


def _invalid(message: str, remedy: str) -> CodedError:
    return CodedError("metadata_invalid", message=message, remedy=remedy, status=400)
