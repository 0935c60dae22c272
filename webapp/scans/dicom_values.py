"""DICOM's dates and times (PS3.5 section 6.2) as Python values; whatever is malformed is None."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

DATE_TIME = re.compile(r"^(\d{8})(\d{2,6}(?:\.\d{1,6})?)?([+-]\d{4})?$")
OFFSET = re.compile(r"^([+-])(\d{2})(\d{2})$")


def text(value: object, length: int) -> str:
    """A trimmed string of at most `length` characters without NUL; a list is joined as DICOM joins it."""
    if value is None:
        return ""
    joined = "\\".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return joined.replace("\0", "").strip()[:length]


def parse_date(value: object) -> date | None:
    raw = text(value, 16).replace(".", "").replace("-", "")
    try:
        return datetime.strptime(raw, "%Y%m%d").date() if len(raw) == 8 else None
    except ValueError:
        return None


def parse_time(value: object) -> time | None:
    raw = text(value, 32).replace(":", "")
    whole, _, fraction = raw.partition(".")
    if not whole.isdecimal() or len(whole) not in (2, 4, 6) or (fraction and not fraction.isdecimal()):
        return None
    hours, minutes, seconds = (int(whole[i : i + 2] or 0) for i in (0, 2, 4))
    try:
        return time(hours, minutes, min(seconds, 59), int(fraction[:6].ljust(6, "0") or 0))
    except ValueError:
        return None


def parse_datetime(value: object, *, offset: object, local: timezone) -> datetime | None:
    """An instant in UTC: by the value's own offset, else TimezoneOffsetFromUTC, else the site's time zone."""
    match = DATE_TIME.match(text(value, 32))
    day = match and parse_date(match[1])
    if not day:
        return None
    clock = parse_time(match[2] or "") or time()
    zone = parse_offset(match[3]) or parse_offset(offset) or local
    return datetime.combine(day, clock, zone).astimezone(UTC)


def parse_offset(value: object) -> timezone | None:
    match = OFFSET.match(text(value, 8))
    if not match or int(match[2]) > 14:
        return None
    shift = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-shift if match[1] == "-" else shift)
