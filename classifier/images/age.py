"""The day of the study and the patient's age at it, from whatever a header has of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

# Many writers omit the unit of years, or write a word.
_AGE = re.compile(
    r"(\d{1,4})\s*(|D|DAYS?|W|WK|WKS|WEEKS?|M|MO|MON|MOS|MTH|MONTHS?|Y|YR|YRS|YO|YEARS?)\.?",
    re.ASCII | re.IGNORECASE,
)
_DAYS_A_YEAR, _OLDEST, _SAME = 365.25, 130, 1.5
_UNITS = {"": 1.0, "Y": 1.0, "M": 30.4375 / 365.25, "W": 7 / 365.25, "D": 1 / 365.25}
_DATES = ("StudyDate", "AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "ContentDate")


def age_in_years(
    metadata: Mapping[str, Any], *, born: date | None = None, seen: date | None = None
) -> float | None:
    """Age at the study, from the best source there is; None if unknown.

    PatientAge (PS3.5 6.2, AS) counts where it can be read and is no filler such as 000Y; the birth date is
    more exact where both agree, and replaces an age that is missing. `born` and `seen` are the dates of birth
    and study where the header has none.
    """
    stated = stated_age(metadata.get("PatientAge"))
    exact = _between(_date(metadata.get("PatientBirthDate")) or born, _day(metadata) or seen)
    if stated is None or (exact is not None and abs(stated - exact) <= _SAME):
        return exact
    return stated


def stated_age(value: object) -> float | None:
    """PatientAge in years, also without a unit, with blanks or a spelled-out unit; None for anything else."""
    age = _AGE.fullmatch(value.strip()) if isinstance(value, str) else None
    years = int(age[1]) * _UNITS[age[2][:1].upper()] if age else 0.0
    return years if 0 < years <= _OLDEST else None


def unreadable_age(metadata: Mapping[str, Any]) -> str:
    """PatientAge as it is written, where that is neither an age nor a filler of zeros; else empty."""
    value = str(metadata.get("PatientAge") or "").strip()
    return value if value.strip("0 DWMYdwmy") and stated_age(value) is None else ""


def day_of_study(metadata: Mapping[str, Any], *, seen: date | None = None) -> date | None:
    """The day of the study, else `seen`; None where the header states that dates were changed or removed.

    PS3.3 C.12.1.1.2: LongitudinalTemporalInformationModified.
    """
    if metadata.get("LongitudinalTemporalInformationModified") not in (None, "", "UNMODIFIED"):
        return None
    return _day(metadata) or seen


def _day(metadata: Mapping[str, Any]) -> date | None:
    return next((day for keyword in _DATES if (day := _date(metadata.get(keyword)))), None)


def _between(born: date | None, seen: date | None) -> float | None:
    if born is None or seen is None or seen < born:
        return None
    years = (seen - born).days / _DAYS_A_YEAR
    return years if years <= _OLDEST else None


def _date(value: object) -> date | None:
    """A DICOM date, also with dots or hyphens, or the day of a date and time (PS3.5 6.2, DA and DT)."""
    try:
        return date.fromisoformat(re.sub(r"[-.]", "", value.strip())[:8]) if isinstance(value, str) else None
    except ValueError:
        return None
