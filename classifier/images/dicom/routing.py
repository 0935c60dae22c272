"""The model slot of a DICOM object, by its SOP class and modality (PS3.3 C.7.3.1.1.1)."""

from __future__ import annotations

from pydicom import Dataset, uid

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.dicom.metadata import number
from classifier.reasons import RefusalReason

_RADIOGRAPHS = {
    uid.ComputedRadiographyImageStorage,
    uid.DigitalXRayImageStorageForPresentation,
    uid.DigitalXRayImageStorageForProcessing,
}
_CT_SLICES = {uid.CTImageStorage, uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage}
_CAPTURES = {
    uid.SecondaryCaptureImageStorage,
    uid.MultiFrameSingleBitSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
}
# Every storage class of which some object has a slot; the DICOM listener accepts these.
STORAGE_CLASSES = frozenset(_RADIOGRAPHS | _CT_SLICES | _CAPTURES)
_STANDARD = "1.2.840.10008."
_RADIOGRAPHY = {"CR", "DX", "DR", "RG", "XR"}
# The defined terms: a broken header may hold anything instead, even the patient's name.
_MODALITIES = {
    "ANN", "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CFM", "CR", "CT", "CTPROTOCOL", "DG", "DMS", "DOC",
    "DX", "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO", "IOL", "IVOCT", "IVUS",
    "KER", "KO", "LEN", "LS", "M3D", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPTBSV",
    "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN", "POS", "PR", "PT", "PX", "REG", "RESP", "RF", "RG",
    "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD", "RTRECORD", "RTSEGANN", "RTSTRUCT", "RWV", "SEG",
    "SM", "SMR", "SR", "SRF", "STAIN", "TEXTUREMAP", "TG", "US", "VA", "XA", "XAPROTOCOL", "XC",
}  # fmt: skip
# Secondary captures often lack the modality; most of them are radiographs here.
_UNSPECIFIED = {"", "OT", "SC", "HC", "FD"}


def slot_of(dataset: Dataset) -> Slot:
    """The slot of one DICOM object. Raises Refused(unsupported_modality | not_an_image)."""
    sop_class, modality = _identity(dataset)
    if sop_class == uid.MediaStorageDirectoryStorage or "DirectoryRecordSequence" in dataset:
        raise Refused(RefusalReason.NOT_AN_IMAGE, "a DICOMDIR")
    slot = _slot(sop_class, modality)
    if slot is None:
        term = modality if modality in _MODALITIES else "unknown"
        raise Refused(RefusalReason.UNSUPPORTED_MODALITY, f"modality {term}")
    if slot is Slot.CT and "LOCALIZER" in {str(v).upper() for v in dataset.get("ImageType") or ()}:
        raise Refused(RefusalReason.UNSUPPORTED_MODALITY, "a CT localizer")
    if (number(dataset.get("NumberOfFrames")) or 1) != 1:
        raise Refused(RefusalReason.UNSUPPORTED_MODALITY, "more than one frame")
    return slot


def _identity(dataset: Dataset) -> tuple[uid.UID, str]:
    stated = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or ""
    modality = "".join(c for c in str(dataset.get("Modality") or "").upper() if c.isalnum())
    return uid.UID(str(stated)), modality[:16]


def _slot(sop_class: uid.UID, modality: str) -> Slot | None:
    # Private SOP classes of radiographs are recognised by the modality alone.
    if modality in _RADIOGRAPHY and sop_class and not sop_class.startswith(_STANDARD):
        return Slot.CXR
    unspecified = sop_class == "" or sop_class in _CAPTURES
    if modality in _RADIOGRAPHY | _UNSPECIFIED and (unspecified or sop_class in _RADIOGRAPHS):
        return Slot.CXR
    # Secondary captures of CT slices have no Hounsfield units.
    if modality in {"CT", ""} and sop_class in _CT_SLICES:
        return Slot.CT
    return Slot.CT if modality == "CT" and sop_class == "" else None
