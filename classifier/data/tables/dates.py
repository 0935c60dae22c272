"""Dates as spreadsheets write them, and whether their day or their month comes first."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

YEARS = range(1900, 2101)
_TIME = re.compile(r"[T ]\s*\d{1,2}[:.]\d{2}([:.]\d{2}([.,]\d+)?)?\s*([AP]M)?\s*(Z|[+-]\d{2}:?\d{2})?", re.I)
_YEAR_FIRST = re.compile(r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|(\d{2})(\d{2})|年(\d{1,2})月(\d{1,2})日)")
_LOCAL = re.compile(r"(\d{1,2})\s*([-/.])\s*(\d{1,2})\s*\2\s*(\d{4}|\d{2})\.?")
_NAMED = re.compile(r"(?:(\d{1,2})[-. ]+([a-z]{3,9})|([a-z]{3,9})\.? +(\d{1,2}),?)[-. ,]+(\d{4})", re.I)
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip


class DateOrder(StrEnum):
    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


@dataclass(frozen=True)
class Dates:
    """`days` and `problems` by text; `order`: what was used for dates such as 05/03/2024, else None.

    `unclear`: such dates are there, neither they nor the caller settle the order, and they are problems.
    """

    days: dict[str, date]
    problems: dict[str, str]
    order: DateOrder | None
    unclear: bool


def read_dates(texts: Iterable[str], order: DateOrder | str = "") -> Dates:
    """The dates of a column. A day above 12 anywhere in it settles the order, before `order` does."""
    texts = {text for text in texts if text}
    local = {text: match for text in texts if (match := _LOCAL.fullmatch(_plain(text))) and match[2] != "."}
    evidence = {found for match in local.values() if (found := _evidence(int(match[1]), int(match[3])))}
    settled = evidence.pop() if len(evidence) == 1 else DateOrder(order) if order else None
    days, problems = {}, {}
    for text in texts:
        try:
            days[text] = _date(_plain(text), settled)
        except ValueError as error:
            problems[text] = str(error)
    unclear = settled is None and bool(local)
    return Dates(days, problems, settled if local else None, unclear)


def _plain(text: str) -> str:
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    time = _TIME.search(text)
    return text[: time.start()].strip() if time and time.end() == len(text) else text


def _evidence(first: int, second: int) -> DateOrder | None:
    if first > 12 >= second:
        return DateOrder.DAY_FIRST
    return DateOrder.MONTH_FIRST if second > 12 >= first else None


def _date(text: str, order: DateOrder | None) -> date:
    if match := _YEAR_FIRST.fullmatch(text):
        month, day = [
            int(part) for part in (match[3], match[4], match[5], match[6], match[7], match[8]) if part
        ]
        return _checked(int(match[1]), month, day)
    if match := _NAMED.fullmatch(text):
        name = (match[2] or match[3]).lower()
        months = [at for at, month in enumerate(_MONTHS, 1) if month == name or month[:3] == name]
        if months:
            return _checked(int(match[5]), months[0], int(match[1] or match[4]))
    if match := _LOCAL.fullmatch(text):
        if len(match[4]) == 2:
            raise ValueError("the year has two digits; write it with four")
        # Only where the day comes first are the parts separated by full stops.
        used = DateOrder.DAY_FIRST if match[2] == "." else order
        if used is None:
            raise ValueError("day and month cannot be distinguished; state which comes first")
        day, month = (match[1], match[3]) if used is DateOrder.DAY_FIRST else (match[3], match[1])
        return _checked(int(match[4]), int(month), int(day))
    if re.fullmatch(r"\d{5}([.,]\d+)?", text):
        raise ValueError("a number of days; format the column as a date and save it again")
    raise ValueError("not a date; write it as in 2026-11-20")


def _checked(year: int, month: int, day: int) -> date:
    if year not in YEARS:
        raise ValueError(f"the year {year} is not possible; write it in the Gregorian calendar")
    try:
        return date(year, month, day)
    except ValueError:
        raise ValueError("there is no such day") from None
