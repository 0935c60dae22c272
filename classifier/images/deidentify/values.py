"""The values that de-identification turns into others: days, moments, ages, and traces of the identity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

from pydicom import Dataset
from pydicom.multival import MultiValue

from classifier.images.dicom.metadata import age_in_years

_DAY = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_MOMENT = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d*(?:\.\d+)?)(?:[+-]\d{4})?")
_OLDEST = 90
_NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName")
_IDENTIFIERS = ("PatientID", "OtherPatientIDs", "AccessionNumber")
_SHORTEST_NAME, _SHORTEST_IDENTIFIER = 3, 4


def moved_day(text: str, days: int) -> str:
    """A DA value (PS3.5 6.2) so many days earlier; empty where it is none."""
    day = _DAY.fullmatch(text.strip())
    try:
        return f"{date(*map(int, day.groups())) - timedelta(days):%Y%m%d}" if day else ""
    except (ValueError, OverflowError):
        return ""


def moved_moment(text: str, days: int) -> str:
    """A DT value so many days earlier, as precise as it was and without its time zone; empty where none."""
    moment = _MOMENT.fullmatch(text.strip())
    if not moment:
        return ""
    year, month, day, clock = moment.groups()
    moved = moved_day(f"{year}{month or '01'}{day or '01'}", days)
    return moved and moved[: 4 + 2 * bool(month) + 2 * bool(day)] + (clock if day else "")


def age_of(dataset: Dataset) -> str:
    """The patient's age (AS) as stated, else by the dates, "" if unknown; 90 stands for 90 and more."""
    stated = text_of(dataset, "PatientAge")
    keywords = ("PatientAge", "PatientBirthDate", "StudyDate")
    years = age_in_years({keyword: text_of(dataset, keyword) or None for keyword in keywords})
    if years is None:
        return ""
    if years >= _OLDEST:
        return f"{_OLDEST:03d}Y"
    if re.fullmatch(r"\d{3}[DWMY]", stated):
        return stated
    return f"{int(years):03d}Y" if years >= 2 else f"{int(years * 12):03d}M"


def traces_of(dataset: Dataset) -> re.Pattern[str] | None:
    """Matches the patient's names, identifiers and accession number as words, where these are long enough."""
    names = (part for value in _all(dataset, _NAMES) for part in re.split(r"[\^=\s,]+", value))
    words = {name for name in names if len(name) >= _SHORTEST_NAME}
    words |= {word for word in _all(dataset, _IDENTIFIERS) if len(word) >= _SHORTEST_IDENTIFIER}
    if not words:
        return None
    alternatives = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{alternatives})(?![^\W_])", re.IGNORECASE)


def text_of(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()


def _all(dataset: Dataset, keywords: tuple[str, ...]) -> Iterator[str]:
    for keyword in keywords:
        value = dataset.get(keyword)
        for one in value if isinstance(value, MultiValue) else [value]:
            yield str(one or "").strip()
