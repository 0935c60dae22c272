"""Writes phantoms as files with the synthetic mark that the image reader recognises."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from classifier.phantom.film import BITS, WHITE
from classifier.phantom.render import Phantom

PNG_KEY, PNG_MARK = "Synthetic", "Hilum phantom"
MAKER, MODEL = "Hilum", "Phantom"


def write_png(path: Path, phantom: Phantom) -> None:
    """16-bit grey PNG with the tEXt chunk `Synthetic` = `Hilum phantom`."""
    marks = PngInfo()
    marks.add_text(PNG_KEY, PNG_MARK)
    sixteen = phantom.pixels << (16 - BITS) | phantom.pixels >> (2 * BITS - 16)
    dots = 25.4 / phantom.spacing
    Image.fromarray(sixteen).save(path, format="PNG", pnginfo=marks, dpi=(dots, dots))


def write_dicom(
    path: Path,
    phantom: Phantom,
    *,
    patient_id: str,
    patient_name: str,
    taken: datetime,
    birth_year: int | None = None,
) -> None:
    """DX Image Storage - For Presentation (PS3.3 A.26), uncompressed, Synthetic Data (0008,001C) = YES.

    The same arguments give the same bytes, since UIDs are derived from them.
    """
    entropy = [patient_id, taken.isoformat(), str(phantom.seed), str(phantom.pixels.shape)]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[*entropy, "instance"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID = generate_uid(entropy_srcs=[patient_id, taken.isoformat(), "study"])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=[*entropy, "series"])
    data.SyntheticData = "YES"
    _patient(data, phantom, patient_id, patient_name, taken, birth_year)
    _acquisition(data, phantom, taken)
    _pixels(data, phantom)
    dcmwrite(path, data, enforce_file_format=True)


def _patient(
    data: Dataset, phantom: Phantom, patient_id: str, name: str, taken: datetime, birth_year
) -> None:
    data.PatientID, data.PatientName = patient_id, name
    data.PatientSex = "F" if phantom.female else "M"
    data.PatientBirthDate = f"{birth_year}0101" if birth_year else ""
    if birth_year:
        data.PatientAge = f"{taken.year - birth_year:03d}Y"
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = taken.strftime("%Y%m%d")
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = taken.strftime("%H%M%S")
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "1", 1, 1
    data.AccessionNumber = data.ReferringPhysicianName = ""
    data.StudyDescription = "Simulated chest radiograph"


def _acquisition(data: Dataset, phantom: Phantom, taken: datetime) -> None:
    data.Modality, data.PresentationIntentType = "DX", "FOR PRESENTATION"
    data.Manufacturer, data.ManufacturerModelName, data.SoftwareVersions = MAKER, MODEL, "1"
    data.BodyPartExamined, data.ViewPosition, data.PositionerType = "CHEST", "PA", "NONE"
    data.PatientOrientation, data.ImageLaterality = ["L", "F"], "U"
    data.AnatomicRegionSequence = Sequence([_code("51185008", "Chest")])
    data.ViewCodeSequence = Sequence([_code("399348003", "postero-anterior")])
    data.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence()
    data.AcquisitionContextSequence = Sequence()
    data.DetectorType = "DIRECT"
    data.ImagerPixelSpacing = data.PixelSpacing = [round(phantom.spacing, 5)] * 2
    data.ImageType = ["DERIVED", "PRIMARY"]
    data.DerivationDescription = "Computed from a parametric thorax; no person was imaged"


def _pixels(data: Dataset, phantom: Phantom) -> None:
    data.Rows, data.Columns = phantom.pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, BITS, BITS - 1, 0
    data.PixelIntensityRelationship, data.PixelIntensityRelationshipSign = "LOG", 1
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = 0, 1, "US"
    data.PresentationLUTShape, data.BurnedInAnnotation = "IDENTITY", "YES"
    data.LossyImageCompression = "00"
    data.WindowCenter, data.WindowWidth = (WHITE + 1) / 2, WHITE + 1
    data.PixelData = phantom.pixels.astype("<u2").tobytes()
    data["PixelData"].VR = "OW"


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item
