"""Checks facts of a de-identified file outside the sandbox: the child that read the file is not trusted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from classifier.errors import Refused
from classifier.images.decoded_image import ImageFacts
from classifier.images.deidentify.pseudonyms import DeidentifyOptions, Pseudonyms
from classifier.images.deidentify.terms import MAKERS, TERMS
from classifier.reasons import RefusalReason

IDENTITY_LEFT = "de-identification left a text that may identify the patient"
_DATE, _TIME = re.compile(r"\d{8}"), re.compile(r"[\d:]{2,8}(?:\.\d{1,6})?")
_DATETIME, _AGE = re.compile(r"\d{4,14}(?:\.\d{1,6})?"), re.compile(r"\d{1,3}[DWMY]?")
_UID = re.compile(r"1\.2\.840\.10008\.[\d.]{1,50}")
_TURNED = re.compile(r"[APRLHF]{1,3}\\[APRLHF]{1,3}")
_SHAPES = {
    **dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"), _DATE),
    **dict.fromkeys(("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"), _TIME),
    "AcquisitionDateTime": _DATETIME,
    "PatientAge": _AGE,
}
_NOTES = {"turned", "square_pixels", "end_marker_missing", "curve_applied"}


def refuse_identity(facts: ImageFacts, options: DeidentifyOptions) -> None:
    """Raise Refused(undecodable) unless every text is a pseudonym of this key, a defined term or a date."""
    pseudonyms = Pseudonyms(options.key)
    for keyword, value in facts.metadata.items():
        accepts = _rule(keyword, pseudonyms)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and not accepts(one):
                raise Refused(RefusalReason.UNDECODABLE, IDENTITY_LEFT)
    if not facts.notes.keys() <= _NOTES or not all(map(_is_plain, facts.notes.values())):
        raise Refused(RefusalReason.UNDECODABLE, IDENTITY_LEFT)


def _rule(keyword: str, pseudonyms: Pseudonyms) -> Callable[[str], bool]:
    if keyword in {"PatientID", "PatientName"}:
        return pseudonyms.is_patient
    if keyword in _SHAPES:
        return lambda text: _SHAPES[keyword].fullmatch(text) is not None
    if keyword in TERMS:
        return lambda text: text in TERMS[keyword]
    if keyword.endswith("UID"):
        return lambda text: _UID.fullmatch(text) is not None or pseudonyms.uid(text) == text
    if keyword in {"Manufacturer", "ManufacturerModelName", "AccessionNumber", "IssuerOfPatientID"}:
        return lambda text: pseudonyms.is_short(text) or (keyword == "Manufacturer" and text in MAKERS)
    return lambda text: text in {"YES", "NO"}


def _is_plain(details: Any) -> bool:
    return isinstance(details, dict) and all(
        not isinstance(value, str) or _TURNED.fullmatch(value) for value in details.values()
    )
