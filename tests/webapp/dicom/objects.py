"""DICOM objects for tests."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pydicom
from pydicom import FileDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from tests.classifier.images.samples import chest, dataset, write

DX = DigitalXRayImageStorageForPresentation


def radiograph(syntax: UID = ExplicitVRLittleEndian, **attributes: Any) -> FileDataset:
    """A small DX image with UIDs of its own, as it is read from a file."""
    defaults: dict[str, Any] = {
        "SOPClassUID": DX,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "PatientID": "P1",
        "PatientName": "DOE^Jane",
        "Modality": "DX",
    }
    made = dataset(chest(), syntax=syntax, bits=12, **defaults | attributes)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    file = BytesIO()
    write(file, made)
    file.seek(0)
    return pydicom.dcmread(file)
