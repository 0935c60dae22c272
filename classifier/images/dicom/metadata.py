"""The attributes of a DICOM header that Hilum keeps, as plain JSON values."""

from __future__ import annotations

import math
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.multival import MultiValue
from pydicom.valuerep import IS, DSdecimal, DSfloat

from classifier.images.decoded_image import Metadata

KEYWORDS = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientSex", "PatientBirthDate", "PatientAge",
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "AccessionNumber",
    "StudyDate", "StudyTime", "SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime",
    "AcquisitionDateTime", "ContentDate", "ContentTime", "TimezoneOffsetFromUTC", "StudyDescription",
    "SeriesDescription", "SeriesNumber", "InstanceNumber", "Modality", "BodyPartExamined",
    "ViewPosition", "Laterality", "ImageLaterality", "PatientOrientation", "InstitutionName",
    "Manufacturer", "ManufacturerModelName", "StationName", "PixelSpacing", "ImagerPixelSpacing",
    "NominalScannedPixelSpacing", "PixelSpacingCalibrationType", "PixelAspectRatio",
    "SliceThickness", "KVP", "PhotometricInterpretation", "LossyImageCompression", "BurnedInAnnotation",
    "LongitudinalTemporalInformationModified",
    "BitsStored", "Rows", "Columns", "SyntheticData", "RequestedProcedurePriority",
)  # fmt: skip
_UNREADABLE = (ValueError, TypeError, NotImplementedError, ArithmeticError, LookupError, AttributeError)
_NUMBERS = {"DS", "IS"}
_MAX_TEXT, _MAX_VALUES = 256, 16
_BEYOND_MEASURE = 1e15  # beyond any real measurement; products of larger values would overflow


def read_metadata(dataset: Dataset) -> Metadata:
    """The kept attributes that are present; None for an empty or unreadable one."""
    kept: Metadata = {}
    for keyword in KEYWORDS:
        if keyword in dataset:
            value = _plain(_value(dataset, keyword))
            kept[keyword] = _numeric(value) if dictionary_VR(keyword) in _NUMBERS else value
    kept["TransferSyntaxUID"] = str(dataset.file_meta.get("TransferSyntaxUID", "")) or None
    return kept


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except _UNREADABLE:
        return None


def _plain(value: Any) -> str | float | list | None:
    if isinstance(value, MultiValue | list | tuple):
        return [_plain(item) for item in list(value)[:_MAX_VALUES]]
    if isinstance(value, IS | DSfloat | DSdecimal | int | float):
        return float(value) if math.isfinite(value) else None
    if value is None:
        return None
    text = "".join(c for c in str(value) if c.isprintable()).strip()
    return text[:_MAX_TEXT] or None


def number(value: Any) -> float | None:
    """The first number in a DICOM value, also with a decimal comma; None if there is no usable one."""
    if isinstance(value, MultiValue | list | tuple):
        value = value[0] if value else None
    try:
        found = float(value.strip().replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return None
    return found if abs(found) < _BEYOND_MEASURE else None


def _numeric(value: str | float | list | None) -> float | list | None:
    return [number(item) for item in value] if isinstance(value, list) else number(value)
