"""DICOM objects that are not read, each with its reason, decided before anything is decoded."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmwrite
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    EncapsulatedPDFStorage,
    EnhancedCTImageStorage,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    MRImageStorage,
    NuclearMedicineImageStorage,
    SecondaryCaptureImageStorage,
)

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.read import read_image
from classifier.reasons import RefusalReason
from tests.classifier.images.samples import LOSSLESS, LOSSY, chest, dataset, write

PIXELS = chest()
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
DICOMDIR = "1.2.840.10008.1.3.10"


def reason_of(path: Path) -> RefusalReason:
    with pytest.raises(Refused) as caught:
        read_image(path)
    return caught.value.reason


def written(tmp_path: Path, **attributes: object) -> Path:
    attributes = {"RescaleSlope": "1", "RescaleIntercept": "-1024"} | attributes
    return write(tmp_path / "x.dcm", dataset(PIXELS, bits=12, **attributes))


@pytest.mark.parametrize(
    ("modality", "sop_class", "slot"),
    [
        ("CR", ComputedRadiographyImageStorage, Slot.CXR),
        ("DX", DigitalXRayImageStorageForPresentation, Slot.CXR),
        ("RG", SecondaryCaptureImageStorage, Slot.CXR),
        ("OT", SecondaryCaptureImageStorage, Slot.CXR),
        ("CR", "1.2.392.200036.9125.1.1.2", Slot.CXR),
        ("", SecondaryCaptureImageStorage, Slot.CXR),
        ("CT", CTImageStorage, Slot.CT),
        ("CT", EnhancedCTImageStorage, Slot.CT),
    ],
)
def test_a_radiograph_or_ct_slice_goes_to_its_slot(
    tmp_path: Path, modality: str, sop_class: str, slot: Slot
) -> None:
    assert read_image(written(tmp_path, Modality=modality, SOPClassUID=sop_class)).slot is slot


def test_a_dicom_header_knows_better_than_what_is_claimed(tmp_path: Path) -> None:
    assert read_image(written(tmp_path), Slot.CT).slot is Slot.CXR


def test_a_marked_phantom_is_a_phantom(tmp_path: Path) -> None:
    image = read_image(written(tmp_path, SyntheticData="YES", Modality="DX"))
    assert (image.slot, image.synthetic) == (Slot.PHANTOM, True)


@pytest.mark.parametrize(
    ("modality", "sop_class"),
    [
        ("MR", MRImageStorage),
        ("NM", NuclearMedicineImageStorage),
        ("CR", MRImageStorage),
        ("MG", DigitalXRayImageStorageForPresentation),
        ("US", SecondaryCaptureImageStorage),
        ("CT", SecondaryCaptureImageStorage),
        ("SR", BASIC_TEXT_SR),
        ("DOC", EncapsulatedPDFStorage),
        ("XA", "1.2.840.10008.5.1.4.1.1.12.1"),
        ("RF", "1.2.840.10008.5.1.4.1.1.12.2"),
        ("PT", "1.2.840.10008.5.1.4.1.1.128"),
        ("SEG", "1.2.840.10008.5.1.4.1.1.66.4"),
        ("RTDOSE", "1.2.840.10008.5.1.4.1.1.481.2"),
        ("ECG", "1.2.840.10008.5.1.4.1.1.9.1.1"),
        ("MR", "1.2.392.200036.9125.1.1.2"),
        ("OT", "1.2.392.200036.9125.1.1.2"),
    ],
)
def test_any_other_modality_or_object_is_unsupported(tmp_path: Path, modality: str, sop_class: str) -> None:
    path = written(tmp_path, Modality=modality, SOPClassUID=sop_class)
    assert reason_of(path) is RefusalReason.UNSUPPORTED_MODALITY


def test_a_dicomdir_is_not_an_image(tmp_path: Path) -> None:
    assert reason_of(written(tmp_path, SOPClassUID=DICOMDIR)) is RefusalReason.NOT_AN_IMAGE


def test_a_ct_localizer_is_no_slice(tmp_path: Path) -> None:
    path = written(
        tmp_path, Modality="CT", SOPClassUID=CTImageStorage, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    assert reason_of(path) is RefusalReason.UNSUPPORTED_MODALITY


def test_a_single_frame_is_read_and_several_are_refused(tmp_path: Path) -> None:
    assert read_image(written(tmp_path, NumberOfFrames=1)).rows == 96
    made = dataset(np.concatenate([PIXELS, PIXELS]), bits=12, NumberOfFrames=2, Rows=96)
    assert reason_of(write(tmp_path / "y.dcm", made)) is RefusalReason.UNSUPPORTED_MODALITY


@pytest.mark.parametrize(
    ("rows", "columns", "reason"),
    [
        (60_000, 60_000, RefusalReason.TOO_LARGE),
        (20_001, 100, RefusalReason.TOO_LARGE),
        (9_000, 9_000, RefusalReason.UNDECODABLE),
        (97, 80, RefusalReason.UNDECODABLE),
        (63, 80, RefusalReason.TOO_SMALL),
        (0, 0, RefusalReason.TOO_SMALL),
    ],
)
def test_a_header_that_lies_about_the_size_is_found_out(
    tmp_path: Path, rows: int, columns: int, reason: RefusalReason
) -> None:
    assert reason_of(written(tmp_path, Rows=rows, Columns=columns)) is reason


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless], ids=lambda s: s.name)
def test_a_codestream_of_another_size_than_the_header_is_not_even_decoded(
    tmp_path: Path, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[object] = []
    monkeypatch.setattr("classifier.images.dicom.pixel_data.pixel_array", lambda *a, **k: decoded.append(a))
    made = dataset((PIXELS >> 4).astype(np.uint8), syntax=syntax, Columns=79)
    assert reason_of(write(tmp_path / "x.dcm", made)) is RefusalReason.UNDECODABLE
    assert not decoded


@pytest.mark.parametrize("keyword", ["Rows", "BitsAllocated"])
def test_a_header_without_what_the_pixels_need_is_undecodable(tmp_path: Path, keyword: str) -> None:
    made = dataset(PIXELS, bits=12)
    delattr(made, keyword)
    assert reason_of(write(tmp_path / "x.dcm", made)) is RefusalReason.UNDECODABLE


@pytest.mark.parametrize("share", [0.03, 0.2, 0.6, 0.98])
@pytest.mark.parametrize("syntax", [None, JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless])
def test_a_truncated_file_is_refused_never_half_shown(
    tmp_path: Path, syntax: str | None, share: float
) -> None:
    pixels = (PIXELS >> 4).astype(np.uint8)
    path = write(tmp_path / "x.dcm", dataset(pixels, **({"syntax": syntax} if syntax else {})))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert reason_of(path) in {RefusalReason.UNDECODABLE, RefusalReason.NOT_AN_IMAGE}


@pytest.mark.parametrize("syntax", [*LOSSLESS, *LOSSY], ids=lambda s: s.name)
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_codestream_that_breaks_off_is_refused_never_half_shown(
    tmp_path: Path, syntax: str, share: float
) -> None:
    shallow = syntax == JPEGBaseline8Bit
    pixels = (PIXELS >> 4).astype(np.uint8) if shallow else PIXELS
    made = dataset(pixels, syntax=syntax, bits=8 if shallow else 12)
    stream = get_frame(made.PixelData, 0, number_of_frames=1).rstrip(b"\0")
    made.PixelData = encapsulate([stream[: int(len(stream) * share)]])
    assert reason_of(write(tmp_path / "x.dcm", made)) is RefusalReason.UNDECODABLE


def test_a_deflated_bomb_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.images.dicom.header.MAX_INFLATED_BYTES", 1 << 22)
    plain = io.BytesIO()
    dcmwrite(plain, dataset(PIXELS, syntax=DeflatedExplicitVRLittleEndian, bits=12), enforce_file_format=True)
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = plain.getvalue()[: 132 + 12 + int.from_bytes(plain.getvalue()[140:144], "little")]
    bomb = compressor.compress(bytes(1 << 24)) + compressor.flush()
    (tmp_path / "x.dcm").write_bytes(head + bomb)
    assert reason_of(tmp_path / "x.dcm") is RefusalReason.TOO_LARGE


@pytest.mark.parametrize("modality", ["MR", "CR^DOE^JANE"])
def test_a_refusal_reports_nothing_of_the_patient(tmp_path: Path, modality: str) -> None:
    path = written(tmp_path, Modality=modality, PatientName="Doe^Jane", PatientID="4711")
    with pytest.raises(Refused) as caught:
        read_image(path)
    assert "DOE" not in str(caught.value).upper()
    assert "4711" not in str(caught.value)
