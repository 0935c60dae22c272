"""The report as an Encapsulated PDF (PS3.3 A.45.1)."""

from __future__ import annotations

from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage

from webapp.results.objects.codes import CHEST_REPORT
from webapp.results.objects.content import Document, Maker, SourceImage
from webapp.results.objects.dataset import (
    TRANSFER_SYNTAX,
    dicom_date,
    dicom_time,
    source_dataset,
    written,
)

SERIES_NUMBER = 9105
PATIENT_AND_STUDY = (
    "SpecificCharacterSet", "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber",
    "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyInstanceUID",
)  # fmt: skip


def encapsulated_pdf(source: SourceImage, pdf: bytes, maker: Maker, document: Document) -> bytes:
    """The DICOM file around a PDF; the title marks it as research use."""
    header, dataset = source_dataset(source), Dataset()
    for keyword in PATIENT_AND_STUDY:
        setattr(dataset, keyword, header[keyword].value)
    dataset.SOPClassUID, dataset.SOPInstanceUID = EncapsulatedPDFStorage, document.sop_uid
    dataset.SeriesInstanceUID, dataset.SeriesNumber = document.series_uid, SERIES_NUMBER
    dataset.Modality, dataset.InstanceNumber = "DOC", document.number
    dataset.SeriesDescription = "AI report (research use)"
    dataset.Manufacturer, dataset.ManufacturerModelName = maker.manufacturer, maker.model
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = maker.serial, maker.version
    dataset.InstitutionName, dataset.ConversionType = maker.site[:64], "WSD"
    day, clock = dicom_date(document.made_at.date()), dicom_time(document.made_at.time())
    dataset.ContentDate = dataset.SeriesDate = day
    dataset.ContentTime = dataset.SeriesTime = clock
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation, dataset.DocumentTitle = "YES", "AI second-reader report (research use)"
    dataset.ConceptNameCodeSequence = [CodedConcept.from_code(CHEST_REPORT)]
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.reference.sop_class_uid
    reference.ReferencedSOPInstanceUID = source.reference.sop_uid
    dataset.SourceInstanceSequence = [reference]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(pdf)
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = TRANSFER_SYNTAX
    return written(dataset, source, document)
