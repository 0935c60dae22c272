"""What all result objects share: patient and study, the device, and how they are written."""

from __future__ import annotations

import io
from datetime import date, datetime, time
from typing import Any

from highdicom import UID
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom import Dataset, dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from webapp.results.objects.codes import SCHEME, SCHEME_NAME, SCHEME_UID
from webapp.results.objects.content import Document, Maker, Reference, SourceImage

CHARACTER_SET = "ISO_IR 192"
SEXES = ("M", "F", "O")


def source_dataset(source: SourceImage) -> Dataset:
    """The header of the source image as far as references and patient attributes need it."""
    dataset = reference_dataset(source.reference)
    dataset.SpecificCharacterSet = CHARACTER_SET
    dataset.PatientID, dataset.PatientName = source.patient_id, source.patient_name
    dataset.PatientBirthDate = dicom_date(source.birth_date)
    dataset.PatientSex = source.sex if source.sex in SEXES else ""
    dataset.AccessionNumber, dataset.StudyID = source.accession_number[:16], ""
    dataset.StudyDate, dataset.StudyTime = dicom_date(source.study_date), dicom_time(source.study_time)
    dataset.ReferringPhysicianName = ""
    dataset.Modality = source.modality
    dataset.Rows, dataset.Columns = source.geometry.rows, source.geometry.columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    return dataset


def reference_dataset(reference: Reference) -> Dataset:
    dataset = Dataset()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = reference.study_uid, reference.series_uid
    dataset.SOPClassUID, dataset.SOPInstanceUID = reference.sop_class_uid, reference.sop_uid
    return dataset


def made_by(maker: Maker, document: Document, *, series_number: int, description: str) -> dict[str, Any]:
    """The arguments that every constructor of highdicom takes."""
    return {
        "series_instance_uid": UID(document.series_uid),
        "series_number": series_number,
        "sop_instance_uid": UID(document.sop_uid),
        "instance_number": document.number,
        "manufacturer": maker.manufacturer,
        "manufacturer_model_name": maker.model,
        "software_versions": maker.version,
        "device_serial_number": maker.serial,
        "institution_name": maker.site[:64],
        "series_description": description,
        "specific_character_set": CHARACTER_SET,
        **times_of(document.made_at),
    }


def times_of(at: datetime) -> dict[str, Any]:
    day, clock = at.date(), at.time().replace(microsecond=0)
    return {"content_date": day, "content_time": clock, "series_date": day, "series_time": clock}


def private_scheme() -> list[CodingSchemeIdentificationItem]:
    return [
        CodingSchemeIdentificationItem(
            SCHEME, name=SCHEME_NAME, uid=SCHEME_UID, responsible_organization="Hilum"
        )
    ]


def written(dataset: Dataset, source: SourceImage, document: Document) -> bytes:
    """The bytes of a DICOM file (PS3.10); the same dataset always gives the same bytes."""
    day, clock = dicom_date(document.made_at.date()), dicom_time(document.made_at.time())
    # highdicom states the time of the call in these.
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = day, clock
    for item in dataset.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = day + clock
    if "TimeOfSecondaryCapture" in dataset:
        dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = day, clock
    if source.issuer:
        dataset.IssuerOfPatientID = source.issuer
    if source.study_description:
        dataset.StudyDescription = source.study_description[:64]
    if source.synthetic:
        dataset.SyntheticData = "YES"
    out = io.BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def dicom_date(day: date | None) -> str:
    return f"{day:%Y%m%d}" if day else ""


def dicom_time(clock: time | None) -> str:
    return f"{clock:%H%M%S}" if clock else ""


TRANSFER_SYNTAX = ExplicitVRLittleEndian
CONVERTED_CLASS = str(SecondaryCaptureImageStorage)
