"""The DICOM JSON model (PS3.18 annex F) of attributes that Hilum keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

MEDIA_TYPE = "application/dicom+json"
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_WHOLE, _DECIMAL = {"IS", "US", "UL", "SS", "SL"}, {"DS", "FD", "FL"}


def tag_of(keyword: str) -> str:
    """The tag as DICOM JSON writes it; raises KeyError for a keyword that the dictionary lacks."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return f"{tag:08X}"


def as_json(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes by keyword as one DICOM JSON object; None and "" are empty values."""
    found = {tag_of(keyword): element(keyword, value) for keyword, value in attributes.items()}
    return dict(sorted(found.items()))


def element(keyword: str, value: Any) -> dict[str, Any]:
    vr = dictionary_VR(keyword)
    values = value if isinstance(value, list | tuple) else [value]
    written = [_written(vr, one) for one in values if one not in (None, "")]
    return {"vr": vr, "Value": written} if written else {"vr": vr}


def _written(vr: str, value: Any) -> Any:
    if vr == "SQ":
        return as_json(value)
    if vr == "PN":
        parts = str(value).split("=")[: len(_GROUPS)]
        return {name: part for name, part in zip(_GROUPS, parts, strict=False) if part}
    if vr in _WHOLE:
        return int(value)
    return float(value) if vr in _DECIMAL else str(value)
