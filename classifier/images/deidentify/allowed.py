"""What a de-identified header may contain: attributes and values by allow-list, whatever the file holds.

PS3.15 E.1.1 lets a de-identifier remove more than table E.1-1 states. Text is kept where it is a defined
term, numbers where they have the type and number of values of their attribute and are plausible: eight
letters make a floating point number as well, of a magnitude that no measurement has.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR
from pydicom.multival import MultiValue
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping
from pydicom.tag import BaseTag
from pydicom.uid import UID_dictionary

from classifier.errors import Refused
from classifier.images.deidentify.terms import term_of
from classifier.images.dicom.voi_lut import lut_entries
from classifier.reasons import RefusalReason

_TEXT = {"CS", "LO", "SH"}
_SHAPES = {
    "DS": re.compile(r"[+-]?(?:\d{1,9}\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?"),
    "IS": re.compile(r"[+-]?\d{1,9}"),
    "AS": re.compile(r"\d{1,3}[DWMY]?"),
    "TM": re.compile(r"(?:[01]\d|2[0-3])(?::?[0-5]\d(?::?[0-6]\d(?:\.\d{1,6})?)?)?"),
}
_LONGEST = {"DS": 16, "IS": 12, "AS": 4, "TM": 16}
_INTEGERS = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "UV": 8, "SV": 8}
_FLOATS = {"FL", "FD"}
# Four letters are an integer beyond the first, and a floating point number outside of the other two.
_LARGEST_INTEGER, _LARGEST, _SMALLEST = 1 << 24, 1e9, 1e-9
_MOST_VALUES = 8
_LETTERS, _FEWEST_LETTERS = string.ascii_letters.encode(), 4
_SRT = {"SRT", "SNM3", "99SDM"}
_CONCEPTS: Any = concepts
_MEANINGS: dict[tuple[str, str], str] = {
    (scheme, code): meaning[:64]
    for scheme, names in _CONCEPTS.items()
    for codes in names.values()
    for code, (meaning, *_) in codes.items()
}
CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
_WORDS = "<u2"


def restrict(dataset: Dataset, element: DataElement, seen: Callable[[Any], bool]) -> bool:
    """Reduce an element to its allowed values, in its own type; False where nothing of it may stay.

    `seen` states whether a number is an identifier of the patient.
    """
    wanted = dictionary_VR(element.tag) if dictionary_has_tag(element.tag) else ""
    values = values_of(element)
    if not values:
        return element.VR in wanted.split(" or ")
    if element.VR in _TEXT and wanted in _TEXT:
        kept: list[Any] = [term for term in (term_of(element.keyword, value) for value in values) if term]
        return _replace(dataset, element, wanted, kept)
    # Writers confuse the types of numbers; readers are lenient, and so is this.
    confused = wanted in _SHAPES and element.VR in {*_TEXT, *_SHAPES}
    if element.VR not in wanted.split(" or ") and not confused:
        return False
    if not _right_number(element.tag, len(values)) or any(seen(value) for value in values):
        return False
    if wanted in _SHAPES:
        texts = [str(value).replace("\0", " ").strip() for value in values]
        whole = [text for text in texts if not text or _fits(wanted, text)]
        return len(whole) == len(texts) and _replace(dataset, element, wanted, texts)
    if element.VR in _INTEGERS:
        return _are_plausible(values, _INTEGERS[element.VR])
    if element.VR in _FLOATS:
        return all(_is_plausible(value) for value in values)
    return element.VR == "AT" and all(_is_attribute(value) for value in values)


def values_of(element: DataElement) -> list[Any]:
    value = element.value
    if value is None or (isinstance(value, str | bytes | MultiValue | list) and len(value) == 0):
        return []
    return list(value) if isinstance(value, MultiValue | list) else [value]


def keep_known_codes(items: Iterable[Dataset]) -> list[Dataset]:
    """The items of a sequence, of coded ones (PS3.3 8.8) only known codes, with the words of the standard."""
    kept = []
    for item in items:
        if any(keyword in item for keyword in (*CODE, "LongCodeValue", "URNCodeValue")):
            known = _known_code(item)
            if known is None:
                continue
            for element in list(item):
                if element.VR != "SQ":
                    del item[element.tag]
            for keyword, value in zip(CODE, known, strict=True):
                setattr(item, keyword, value)
        kept.append(item)
    return kept


def _known_code(item: Dataset) -> tuple[str, str, str] | None:
    value, scheme = (str(item.get(keyword) or "").strip() for keyword in CODE[:2])
    if scheme in _SRT:
        scheme, value = "SCT", mapping["SRT"].get(value, "")
    meaning = _MEANINGS.get((scheme, value))
    return (value, scheme, meaning) if meaning else None


def keep_lookup_table(item: Dataset, dataset: Dataset) -> bool:
    """Rewrite the entries of a lookup table item; False where they are not monotonic, as text never is."""
    try:
        count, first, depth = (int(value) for value in item.LUTDescriptor)
        table = lut_entries(item.LUTData, count or 1 << 16, dataset)
    except (ValueError, TypeError, AttributeError):
        return False
    steps = np.diff(table)
    if not (len(table) > 1 and ((steps >= 0).all() or (steps <= 0).all())):
        return False
    if not (1 <= depth <= 16 and -(1 << 15) <= first < 1 << 16):
        return False
    del item["LUTData"]
    item.add_new("LUTData", "OW", table.astype(_WORDS).tobytes())
    return True


def keep_lookup_tables(dataset: Dataset, root: Dataset) -> None:
    """Rewrite the lookup tables of a data set; raises Refused(undecodable) for a bad one that values need."""
    for keyword in ("ModalityLUTSequence", "VOILUTSequence"):
        items = dataset.get(keyword) or []
        if not items:
            continue
        kept = [item for item in items if keep_lookup_table(item, root)]
        if keyword == "ModalityLUTSequence" and len(kept) < len(items):
            raise Refused(RefusalReason.UNDECODABLE, "a modality lookup table cannot be de-identified")
        if kept:
            dataset[keyword].value = kept
        else:
            del dataset[keyword]


def _replace(dataset: Dataset, element: DataElement, vr: str, values: list[Any]) -> bool:
    if not any(values):
        return False
    tag = element.tag
    del dataset[tag]
    dataset.add_new(tag, vr, values if len(values) > 1 else values[0])
    return True


def _fits(vr: str, text: str) -> bool:
    return len(text) <= _LONGEST[vr] and _SHAPES[vr].fullmatch(text) is not None


def _right_number(tag: BaseTag, count: int) -> bool:
    most = dictionary_VM(tag).split("-")[-1]
    return count <= (int(most) if most.isdecimal() else _MOST_VALUES)


def _are_plausible(values: list[Any], size: int) -> bool:
    """Whether integers of `size` bytes are small, and together do not spell a word."""
    if not all(isinstance(value, int) and abs(value) <= _LARGEST_INTEGER for value in values):
        return False
    spelt = b"".join((value % (1 << 8 * size)).to_bytes(size, "little") for value in values)
    return sum(byte in _LETTERS for byte in spelt) < _FEWEST_LETTERS


def _is_plausible(value: Any) -> bool:
    return isinstance(value, float | int) and (
        value == 0 or (math.isfinite(value) and _SMALLEST <= abs(value) <= _LARGEST)
    )


def _is_attribute(value: Any) -> bool:
    return dictionary_has_tag(int(value))


def known_uid(uid: str) -> bool:
    return uid in UID_dictionary
