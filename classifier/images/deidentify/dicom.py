"""De-identification of DICOM by the Basic Application Level Confidentiality Profile (PS3.15 Annex E).

With the options Retain Longitudinal Temporal Information with Modified Dates (E.3.6), dates moved by a keyed
number of days per patient, and optionally Retain Patient Characteristics (E.3.7). The table of attributes is
that of dicom-anonymizer, edition 2026c; attributes that it keeps are kept by allow-list only (`allowed`). The
samples of the image are not changed, but rewritten (`pixels`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pydicom
from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from dicomanonymizer.simpledicomanonymizer import replace_element
from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import FileMetaDataset
from pydicom.multival import MultiValue

from classifier.errors import Refused
from classifier.images.deidentify.allowed import (
    CODE,
    keep_known_codes,
    keep_lookup_tables,
    known_uid,
    restrict,
)
from classifier.images.deidentify.pixels import rewrite_pixels
from classifier.images.deidentify.pseudonyms import Pseudonyms
from classifier.images.deidentify.terms import maker_of
from classifier.images.deidentify.values import (
    age_of,
    digits_of,
    found_in,
    identity_words,
    numbers_among,
    shift_date,
    shift_datetime,
    text_of,
    traces_of,
)
from classifier.reasons import RefusalReason

EDITION = "2026c"
METHOD = (f"DICOM PS3.15 {EDITION} Annex E", "Basic Application Confidentiality Profile", "Hilum")
# PS3.16 CID 7050.
BASIC, MODIFIED_DATES, CHARACTERISTICS = "113100", "113107", "113108"
CODES = {
    BASIC: "Basic Application Confidentiality Profile",
    MODIFIED_DATES: "Retain Longitudinal Temporal Information Modified Dates Option",
    CHARACTERISTICS: "Retain Patient Characteristics Option",
}
IMPLEMENTATION = "HILUM"
_DATES_KEYWORD = "LongitudinalTemporalInformationModified"

_TABLE = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
_ACTIONS = {tag: group for group, tags in _TABLE.items() if group != "ALL_TAGS" for tag in tags}
_REPEATING = [(tag, action) for tag, action in _ACTIONS.items() if len(tag) == 4]
# Column "Rtn. Pat. Chars. Opt." of Table E.1-1, action K; attributes with action C are removed.
_CHARACTERISTICS = frozenset(
    ("PatientAge", "PatientSex", "PatientSize", "PatientWeight", "PatientSexNeutered", "EthnicGroup",
     "SmokingStatus", "PregnancyStatus")
)  # fmt: skip
# No option keeps date and time of birth.
_BIRTH = {"PatientBirthDate", "PatientBirthTime", "PatientBirthDateInAlternativeCalendar"}
_CURVES, _OVERLAYS = 0x5000, 0x6000
_GPS = 0x0016
_REFERENCES = "X_Z_U_STAR_TAGS"
_MAKER, _MODEL = "Manufacturer", "ManufacturerModelName"
_PIXEL_DATA, _LOOKUP_TABLE = "PixelData", "LUTData"
_SHORT_TEXT = {"LO", "SH", "CS"}
# Without these nothing is read; their few terms identify nobody.
_NEEDED = {"Modality", "PhotometricInterpretation", "SpecificCharacterSet", "PatientID"}
# The original identity, encrypted by an earlier de-identification.
_ENCRYPTED = "EncryptedAttributesSequence"
TRACES_LEFT = "the patient's name or an identifier is still in the file after de-identification"
_OWN_TEXT = " ".join((*METHOD, *CODES.values(), "anonymized monochrome modified pydicom"))
_OWN_WORDS = frozenset(re.findall(r"[a-z]+", _OWN_TEXT.lower()))


@dataclass
class DeidentifyReport:
    """The options by their codes (CID 7050), and the numbers of elements removed and changed.

    `words`: the patient's names and identifiers, which `refuse_traces` looks for; never to be kept.
    """

    options: tuple[str, ...] = ()
    patient: str = ""
    removed: int = 0
    changed: int = 0
    traces: int = 0
    words: frozenset[str] = field(default=frozenset(), repr=False)


def deidentify(
    dataset: Dataset, pseudonyms: Pseudonyms, *, keep_characteristics: bool = False
) -> tuple[Dataset, DeidentifyReport]:
    """`dataset`, de-identified in place, with a report.

    `file_meta` must contain the transfer syntax. Ages of 90 and more are kept as 90. Raises Refused where the
    pixel data cannot be rewritten.
    """
    with pydicom.config.disable_value_validation():
        return _Deidentification(dataset, pseudonyms, keep_characteristics).run()


def to_bytes(dataset: Dataset) -> bytes:
    """The file of a de-identified data set, with a preamble of zeros and new file meta information."""
    buffer = io.BytesIO()
    with pydicom.config.disable_value_validation():
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def refuse_traces(data: bytes, report: DeidentifyReport) -> None:
    """Raise Refused(undecodable) for a de-identified file that contains a name or an identifier after all."""
    if found_in(data, report.words - _OWN_WORDS):
        raise Refused(RefusalReason.UNDECODABLE, TRACES_LEFT)


class _Deidentification:
    def __init__(self, dataset: Dataset, pseudonyms: Pseudonyms, keep_characteristics: bool) -> None:
        self._dataset, self._pseudonyms = dataset, pseudonyms
        self._kept = _CHARACTERISTICS if keep_characteristics else frozenset()
        codes = (BASIC, MODIFIED_DATES, *([CHARACTERISTICS] if keep_characteristics else []))
        self._report = DeidentifyReport(options=codes)

    def run(self) -> tuple[Dataset, DeidentifyReport]:
        dataset = self._dataset
        _drop_unreadable(dataset)
        words = identity_words(dataset)
        self._report.words = frozenset(word.lower() for word in words)
        self._numbers = numbers_among(words)
        self._days = 0 if self._is_done() else self._pseudonyms.days(_owner(dataset))
        identity = self._identity()
        traces, age = traces_of(words), age_of(dataset)
        self._enhanced = "SharedFunctionalGroupsSequence" in dataset
        if _PIXEL_DATA in dataset:
            rewrite_pixels(dataset)
        self._clean(dataset)
        self._remove_traces(dataset, traces)
        self._sign(dataset, identity, age)
        return dataset, self._report

    def _is_done(self) -> bool:
        """Whether Hilum already de-identified it with this key; its dates are then not moved again."""
        stated = (text_of(self._dataset, key) for key in ("PatientIdentityRemoved", _DATES_KEYWORD))
        return tuple(stated) == ("YES", "MODIFIED") and self._pseudonyms.is_patient(
            text_of(self._dataset, "PatientID")
        )

    def _identity(self) -> dict[str, str]:
        """Replacements of the patient's name and identifiers, by keyword."""
        dataset, pseudonyms = self._dataset, self._pseudonyms
        self._report.patient = patient = pseudonyms.patient(text_of(dataset, "PatientID"))
        issuer = pseudonyms.short("issuer", text_of(dataset, "IssuerOfPatientID")) if patient else ""
        return {
            "PatientID": patient,
            "PatientName": patient,
            "AccessionNumber": pseudonyms.short("accession", text_of(dataset, "AccessionNumber")),
            **({"IssuerOfPatientID": issuer} if issuer else {}),
        }

    def _clean(self, dataset: Dataset) -> None:
        keep_lookup_tables(dataset, self._dataset)
        for element in list(dataset):
            self._act(dataset, element)
        for element in list(dataset):
            if element.VR == "SQ" and element.value:
                element.value = keep_known_codes(element.value)
                for item in element.value:
                    self._clean(item)
                if not element.value:
                    del dataset[element.tag]

    def _act(self, dataset: Dataset, element: DataElement) -> None:
        action = self._action(dataset, element)
        if action is _remove:
            self._report.removed += 1
        elif action is not _keep:
            self._report.changed += 1
        action(dataset, element)

    def _action(self, dataset: Dataset, element: DataElement) -> Callable[[Dataset, DataElement], None]:
        """The action for an element.

        Of compound actions: X/D and X/Z/D attributes are not type 1 or 2 in X-ray and CT images (PS3.3 A.2,
        A.3, A.26) and are removed; enhanced objects need them and get a dummy value.
        """
        group = _listed(element.tag)
        if _is_foreign(element) or (element.keyword in _BIRTH and element.VR != "DA"):
            return _remove
        if element.VR in {"DA", "DT"}:
            return _empty if element.keyword in _BIRTH else self._move
        if element.VR == "UI":
            return self._replace_uid if group in {"U_TAGS", None} else _remove
        if group is None or element.VR == "TM" or element.keyword in self._kept:
            return self._kept_action(dataset, element)
        if element.VR == "SQ":
            return _of_sequence(group)
        if group in {"Z_TAGS", "Z_D_TAGS"}:
            return _empty
        return _replace if group == "D_TAGS" or (self._enhanced and "D" in group.split("_")) else _remove

    def _kept_action(self, dataset: Dataset, element: DataElement) -> Callable[[Dataset, DataElement], None]:
        """The action for an element that the table keeps, or leaves to the de-identifier."""
        if element.VR == "SQ":
            return _remove if element.keyword == _ENCRYPTED else _keep
        if element.keyword in {_MAKER, _MODEL}:
            return self._replace_device
        # Rewritten: the pixel data, and in items, lookup tables and codes.
        ours = {_PIXEL_DATA} if dataset is self._dataset else {_LOOKUP_TABLE, *CODE}
        return _keep if element.keyword in ours else self._restrict

    def _restrict(self, dataset: Dataset, element: DataElement) -> None:
        if not restrict(dataset, element, self._is_identifier):
            dataset.pop(element.tag, None)

    def _is_identifier(self, value: object) -> bool:
        return digits_of(str(value)) in self._numbers

    def _replace_device(self, dataset: Dataset, element: DataElement) -> None:
        """A known maker by its short name, any other device by a pseudonym: images of one stay together."""
        text = text_of(dataset, element.keyword)
        maker = maker_of(text) if element.keyword == _MAKER else ""
        _set(dataset, element, maker or self._pseudonyms.short("device", text))

    def _move(self, dataset: Dataset, element: DataElement) -> None:
        """Move a date back. Unreadable values are emptied."""
        self._each(element, shift_date if element.VR == "DA" else shift_datetime, self._days)

    def _replace_uid(self, dataset: Dataset, element: DataElement) -> None:
        self._each(element, lambda uid, _: uid if known_uid(uid) else self._pseudonyms.uid(uid), 0)

    @staticmethod
    def _each(element: DataElement, change: Callable[[str, int], str], by: int) -> None:
        values = element.value if isinstance(element.value, MultiValue) else [element.value or ""]
        changed = [change(str(value), by) for value in values]
        element.value = changed if len(changed) > 1 else "".join(changed)

    def _remove_traces(self, dataset: Dataset, traces: re.Pattern[str] | None) -> None:
        """Remove short texts that contain the patient's name or an identifier."""
        for element in list(dataset):
            if element.VR == "SQ":
                for item in element.value:
                    self._remove_traces(item, traces)
            elif (
                traces
                and element.VR in _SHORT_TEXT
                and element.keyword not in _NEEDED
                and traces.search(str(element.value))
            ):
                self._report.traces += 1
                del dataset[element.tag]

    def _sign(self, dataset: Dataset, identity: dict[str, str], age: str) -> None:
        """Insert the pseudonyms and the record of the de-identification (PS3.15 E.1.1)."""
        for keyword, value in identity.items():
            setattr(dataset, keyword, value)
        if self._kept and age:
            dataset.PatientAge = age
        else:
            dataset.pop("PatientAge", None)
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = list(METHOD)
        dataset.DeidentificationMethodCodeSequence = [_code(code) for code in self._report.options]
        dataset.LongitudinalTemporalInformationModified = "MODIFIED"
        dataset.file_meta = _file_meta(dataset)
        dataset.preamble = bytes(128)


def _owner(dataset: Dataset) -> str:
    """The identifier that determines the date shift; without a patient ID, dates agree within a study."""
    return text_of(dataset, "PatientID") or text_of(dataset, "StudyInstanceUID")


def _listed(tag: pydicom.tag.BaseTag) -> str | None:
    """The group of the library's table with the attribute; None if the standard keeps it."""
    group = _ACTIONS.get((tag.group, tag.element))
    if group is None:
        for (wanted, number, group_mask, element_mask), action in _REPEATING:
            of_group = tag.group & group_mask == wanted & group_mask
            if of_group and tag.element & element_mask == number & element_mask:
                return action
    return group


def _is_foreign(element: DataElement) -> bool:
    """Private, not in the dictionary, of another type than there, or of a group that is removed entirely."""
    tag = element.tag
    if tag.is_private or not dictionary_has_tag(tag) or tag.group & 0xFF00 in {_CURVES, _OVERLAYS}:
        return True
    wanted = dictionary_VR(tag)
    other_type = wanted != element.VR and {element.VR, wanted} & {"DA", "DT", "UI", "SQ"}
    return bool(other_type) or tag.group == _GPS


def _of_sequence(group: str) -> Callable[[Dataset, DataElement], None]:
    if group == _REFERENCES:
        return _keep
    return _empty_sequence if "Z" in group.split("_") and "D" not in group.split("_") else _remove


def _remove(dataset: Dataset, element: DataElement) -> None:
    del dataset[element.tag]


def _keep(dataset: Dataset, element: DataElement) -> None:
    pass


def _empty(dataset: Dataset, element: DataElement) -> None:
    _set(dataset, element, None)


def _set(dataset: Dataset, element: DataElement, value: object) -> None:
    """A new value, with the type of the dictionary whatever the file stated."""
    tag = element.tag
    del dataset[tag]
    dataset.add_new(tag, dictionary_VR(tag), value)


def _empty_sequence(dataset: Dataset, element: DataElement) -> None:
    element.value = []


def _replace(dataset: Dataset, element: DataElement) -> None:
    try:
        _set(dataset, element, None)
        replace_element(dataset[element.tag])
    except NotImplementedError:
        del dataset[element.tag]


def _drop_unreadable(dataset: Dataset) -> None:
    """Remove elements with unreadable values; all others are decoded here."""
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception:  # converters raise any exception
            del dataset._dict[tag]
            continue
        if element.VR == "SQ":
            for item in element.value:
                _drop_unreadable(item)


def _code(code: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", CODES[code]
    return item


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    old = dataset.file_meta
    meta.TransferSyntaxUID = old.TransferSyntaxUID
    stated = pydicom.uid.UID(str(dataset.get("SOPClassUID") or old.get("MediaStorageSOPClassUID", "")))
    is_clean = known_uid(stated) or "SOPClassUID" in dataset
    meta.MediaStorageSOPClassUID = stated if is_clean else pydicom.uid.UID("")
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID") or pydicom.uid.generate_uid(None)
    meta.ImplementationClassUID = pydicom.uid.PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = IMPLEMENTATION
    return meta
