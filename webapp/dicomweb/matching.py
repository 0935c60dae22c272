"""QIDO-RS: query parameters, and what they select (PS3.18 section 8.3.4, PS3.4 section C.2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any

from django.db.models import Q
from django.http import QueryDict
from pydicom.datadict import keyword_for_tag, tag_for_keyword

from webapp.core.errors import CodedError
from webapp.scans.dicom_values import parse_date, parse_time
from webapp.scans.patients.person_name import folded, search_words

LIMIT = 1000
LEVELS = ("study", "series", "instance")
STUDY_FIELDS = {
    "StudyInstanceUID": "study_instance_uid",
    "AccessionNumber": "accession_number",
    "StudyDescription": "description",
    "PatientID": "patient__patient_id",
    "IssuerOfPatientID": "patient__issuer",
    "PatientSex": "patient__sex",
    "PatientName": "patient__name",
    "StudyDate": "study_date",
    "StudyTime": "study_time",
    "PatientBirthDate": "patient__birth_date",
    "ModalitiesInStudy": "series__modality",
}
DATES, TIMES = {"StudyDate", "PatientBirthDate"}, {"StudyTime"}
SERIES_KEYS = ("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription")
INSTANCE_KEYS = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber")
KNOWN = {*STUDY_FIELDS, *SERIES_KEYS, *INSTANCE_KEYS}
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_OPTIONS = ("includefield", "fuzzymatching", "limit", "offset", "accept")


@dataclass
class Query:
    """What was asked for. `ignored`: attributes that are in the dictionary but cannot be matched here."""

    matches: dict[str, str] = field(default_factory=dict)
    include: set[str] = field(default_factory=set)
    fuzzy: bool = False
    limit: int = LIMIT
    offset: int = 0
    ignored: list[str] = field(default_factory=list)

    def of(self, keys: Iterable[str]) -> dict[str, str]:
        return {key: self.matches[key] for key in keys if key in self.matches}


def parse_query(parameters: QueryDict) -> Query:
    """Read the query parameters; raises CodedError `invalid` with the names of those that are wrong."""
    query, wrong = Query(), {}
    for name in parameters:
        if name in _OPTIONS:
            continue
        keyword = keyword_of(name)
        if keyword is None:
            wrong[name] = ["Not an attribute of DICOM's data dictionary, or a sequence."]
        elif keyword not in KNOWN:
            query.ignored.append(keyword)
        elif value := str(parameters[name]).strip():
            query.matches[keyword] = value
    for value in parameters.getlist("includefield"):
        query.include |= {keyword_of(one) or one for one in value.split(",") if one}
    query.fuzzy = _boolean(parameters.get("fuzzymatching", "false"), "fuzzymatching", wrong)
    query.limit = min(_whole(parameters.get("limit", str(LIMIT)), "limit", wrong), LIMIT)
    query.offset = _whole(parameters.get("offset", "0"), "offset", wrong)
    if wrong:
        raise CodedError("invalid", fields=wrong)
    return query


def keyword_of(name: str) -> str | None:
    """The keyword of an attribute that was named by keyword or by tag; None where there is none."""
    if _TAG.fullmatch(name):
        return keyword_for_tag(int(name, 16)) or None
    return name if name != "" and name.isidentifier() and tag_for_keyword(name) is not None else None


def study_condition(query: Query) -> Q:
    """The studies that match; raises CodedError `invalid` for a date or time that is none."""
    condition = Q()
    for keyword, value in query.of(STUDY_FIELDS).items():
        condition &= _study_match(keyword, STUDY_FIELDS[keyword], value, query.fuzzy)
    return condition


def matches(query: Query, keys: Iterable[str], attributes: Mapping[str, Any]) -> bool:
    """Whether attributes of a series or an instance match: UIDs by list, text with wildcards."""
    return all(_matches(key, value, attributes.get(key)) for key, value in query.of(keys).items())


def _study_match(keyword: str, column: str, value: str, fuzzy: bool) -> Q:
    if keyword in DATES | TIMES:
        return _range(keyword, column, value)
    if keyword == "StudyInstanceUID":
        return Q(**{f"{column}__in": _listed(value)})
    if keyword == "ModalitiesInStudy":
        return Q(**{f"{column}__in": _listed(value)})
    if keyword == "PatientName":
        return _fuzzy_name(value) if fuzzy else Q(**{f"{column}__iregex": _name_pattern(value)})
    if "*" in value or "?" in value:
        return Q(**{f"{column}__regex": _pattern(value)})
    return Q(**{column: value})


def _fuzzy_name(value: str) -> Q:
    """Every word begins a part of the name, whatever its case and accents."""
    condition = Q()
    for word in search_words(value.replace("*", " ")):
        condition &= Q(patient__search_name__contains=f"|{word.strip('|')}")
    return condition


def _name_pattern(value: str) -> str:
    """Case does not matter, nor empty components at the end; the first component group decides."""
    return f"^{_wildcards(value.rstrip('^'))}\\^*(=.*)?$"


def _pattern(value: str) -> str:
    return f"^{_wildcards(value)}$"


def _wildcards(value: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in value)


def _range(keyword: str, column: str, value: str) -> Q:
    first, dash, last = value.partition("-")
    read = parse_date if keyword in DATES else parse_time
    low, high = read(first), read(last)
    if (first and low is None) or (last and high is None) or not (first or last):
        raise CodedError("invalid", fields={keyword: ["Use YYYYMMDD or HHMMSS, or a range with -."]})
    if not dash:
        high = low if keyword in DATES else _end_of(first, low)
    condition = Q() if low is None else Q(**{f"{column}__gte": low})
    return condition if high is None else condition & Q(**{f"{column}__lte": _end_of(last, high)})


def _end_of(text: str, clock: date | time | None) -> Any:
    """The last instant that a time of less than full precision stands for."""
    if not isinstance(clock, time):
        return clock
    digits = len(text.partition(".")[0])
    return clock.replace(
        minute=59 if digits == 2 else clock.minute,
        second=59 if digits in (2, 4) else clock.second,
        microsecond=clock.microsecond if "." in text else 999_999,
    )


def _matches(key: str, value: str, own: Any) -> bool:
    if key.endswith("UID"):
        return str(own or "") in _listed(value)
    if key in ("SeriesNumber", "InstanceNumber"):
        return own is not None and value.lstrip("0") == f"{own:g}".lstrip("0")
    return re.fullmatch(_wildcards(folded(value)), folded(str(own or ""))) is not None


def _listed(value: str) -> list[str]:
    return [one for one in re.split(r"[,\\]", value) if one]


def _boolean(text: str, name: str, wrong: dict[str, list[str]]) -> bool:
    if text not in ("true", "false"):
        wrong[name] = ["Must be true or false."]
    return text == "true"


def _whole(text: str, name: str, wrong: dict[str, list[str]]) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return int(text)
    wrong[name] = ["Must be a whole number."]
    return 0
