"""De-identified values: dates, times, ages, and a pattern of identifying text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from pydicom import Dataset
from pydicom.multival import MultiValue

from classifier.images.age import age_in_years

_DAY = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_DATETIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d*(?:\.\d+)?)(?:[+-]\d{4})?")
_OLDEST = 90
_NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName")
_IDENTIFIERS = ("PatientID", "OtherPatientIDs", "AccessionNumber")
_SHORTEST_NAME, _SHORTEST_IDENTIFIER, _SHORTEST_NUMBER = 3, 4, 6
_SHORTEST_SOUGHT, _SHORTEST_SOUGHT_NUMBER = 6, 9


def shift_date(text: str, days: int) -> str:
    """A DA value (PS3.5 6.2) the given number of days earlier; empty if it is invalid."""
    day = _DAY.fullmatch(text.strip())
    try:
        return f"{date(*map(int, day.groups())) - timedelta(days):%Y%m%d}" if day else ""
    except (ValueError, OverflowError):
        return ""


def shift_datetime(text: str, days: int) -> str:
    """A DT value the given number of days earlier, at its precision, without time zone; empty if invalid."""
    value = _DATETIME.fullmatch(text.strip())
    if not value:
        return ""
    year, month, day, clock = value.groups()
    moved = shift_date(f"{year}{month or '01'}{day or '01'}", days)
    return moved and moved[: 4 + 2 * bool(month) + 2 * bool(day)] + (clock if day else "")


def age_of(dataset: Dataset) -> str:
    """The patient's age (AS) as stated, else from the dates, at most 90 years; "" if unknown."""
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


def identity_words(dataset: Dataset) -> set[str]:
    """The patient's names, identifiers and accession number, of a length that means something."""
    names = (part for value in _all(dataset, _NAMES) for part in re.split(r"[\^=\s,]+", value))
    words = {name for name in names if len(name) >= _SHORTEST_NAME}
    return words | {word for word in _all(dataset, _IDENTIFIERS) if len(word) >= _SHORTEST_IDENTIFIER}


def traces_of(words: set[str]) -> re.Pattern[str] | None:
    """Matches `words`, whole and in any case; None without any."""
    if not words:
        return None
    alternatives = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{alternatives})(?![^\W_])", re.IGNORECASE)


def numbers_among(words: set[str]) -> frozenset[str]:
    """Identifiers that are long numbers, as `digits_of` has them."""
    numbers = (digits_of(word) for word in words if word.isdecimal())
    return frozenset(number for number in numbers if len(number) >= _SHORTEST_NUMBER)


def digits_of(text: str) -> str:
    return "".join(character for character in text if character.isdecimal()).lstrip("0")


def found_in(data: bytes, words: Iterable[str]) -> bool:
    """Whether `data` contains one of the (lower-case) words, also reversed, in 8- or 16-bit characters.

    Short words are left out: by chance they are in any image.
    """
    lower = data.lower()
    for word in words:
        if len(word) < (_SHORTEST_SOUGHT_NUMBER if word.isdecimal() else _SHORTEST_SOUGHT):
            continue
        for text in (word, word[::-1]):
            codings = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
            if any(text.encode(coding, "replace").lower() in lower for coding in codings):
                return True
    return False


def text_of(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()


def _all(dataset: Dataset, keywords: tuple[str, ...]) -> Iterator[str]:
    for keyword in keywords:
        value = dataset.get(keyword)
        for one in value if isinstance(value, MultiValue) else [value]:
            yield str(one or "").strip()
