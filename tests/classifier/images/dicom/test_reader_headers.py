"""Odd headers, padding, colour and CT: what is read, and as what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.read import read_image
from tests.classifier.images.dicom.test_reader import reading_of
from tests.classifier.images.samples import CT, chest, ct_slice, dataset, write

DEEP, SHALLOW = chest(), (chest() >> 4).astype(np.uint8)
LUT_FIRST, LUT_TOP = 100, 1000


@pytest.mark.parametrize(
    "keyword", ["PhotometricInterpretation", "SamplesPerPixel", "PixelRepresentation", "HighBit"]
)
def test_what_a_header_leaves_out_is_put_in_where_it_has_one_meaning(tmp_path: Path, keyword: str) -> None:
    made = dataset(DEEP, bits=12)
    delattr(made, keyword)
    np.testing.assert_array_equal(read_image(write(tmp_path / "x.dcm", made)).display, DEEP)


def test_the_window_of_an_enhanced_object_lies_in_its_functional_groups(tmp_path: Path) -> None:
    voi, rescale, frame = Dataset(), Dataset(), Dataset()
    voi.WindowCenter, voi.WindowWidth = "40", "400"
    rescale.RescaleSlope, rescale.RescaleIntercept = "1", "-1024"
    frame.FrameVOILUTSequence, frame.PixelValueTransformationSequence = [voi], [rescale]
    stored = (ct_slice() + 1024).astype(np.uint16)
    made = dataset(stored, Modality="CT", SOPClassUID=EnhancedCTImageStorage, NumberOfFrames="1")
    made.SharedFunctionalGroupsSequence, made.PerFrameFunctionalGroupsSequence = [Dataset()], [frame]
    image = read_image(write(tmp_path / "x.dcm", made))
    assert image.window_center * image.slope + image.intercept == 40
    assert (image.window_width, image.intercept) == (400, -1024)


@pytest.mark.parametrize(("value", "signed"), [(63536, True), (-2000, True), (63536, False), (-2000, False)])
def test_padding_is_found_whatever_the_sign_of_its_type(tmp_path: Path, value: int, signed: bool) -> None:
    pixels = DEEP.astype(np.int16) if signed else DEEP.copy()
    pixels[:20] = -2000 if signed else 63536
    made = dataset(pixels)
    made.add_new("PixelPaddingValue", "SS" if value < 0 else "US", value)
    assert not read_image(write(tmp_path / "x.dcm", made)).working[:20].any()


def test_padding_is_black_in_a_negative_too(tmp_path: Path) -> None:
    padded = 4095 - DEEP
    padded[:20] = 0
    image = reading_of(
        tmp_path, padded, bits=12, PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1"
    )
    assert not image.display[:20].any()
    assert not image.working[:20].any()


def test_a_raw_image_linear_in_the_dose_is_shown_by_its_logarithm(tmp_path: Path) -> None:
    dose = np.rint(16000 * np.exp(DEEP * (-4 / 4095))).astype(np.uint16)
    attributes = {
        "Modality": "DX",
        "PhotometricInterpretation": "MONOCHROME1",
        "PixelIntensityRelationship": "LIN",
    }
    raw = reading_of(tmp_path, dose, bits=14, SOPClassUID=DigitalXRayImageStorageForProcessing, **attributes)
    shown = reading_of(
        tmp_path, dose, bits=14, SOPClassUID=DigitalXRayImageStorageForPresentation, **attributes
    )
    likeness = [np.corrcoef(p.working.ravel(), DEEP.ravel())[0, 1] for p in (raw, shown)]
    assert likeness[0] > 0.999 > likeness[1]
    assert not raw.polarity_turned


def test_numbers_with_a_decimal_comma_are_read(tmp_path: Path) -> None:
    dots = write(tmp_path / "x.dcm", dataset(DEEP, bits=12, WindowCenter="1800.5", WindowWidth="2000.25"))
    dots.write_bytes(dots.read_bytes().replace(b"1800.5", b"1800,5").replace(b"2000.25", b"2000,25"))
    image = read_image(dots)
    assert (image.window_center, image.window_width) == (1800.5, 2000.25)


def test_a_ct_slice_with_malformed_rescale_values_is_refused_and_a_radiograph_read(tmp_path: Path) -> None:
    for attributes, modality in ((CT, "CT"), ({}, "CR")):
        made = dataset(ct_slice(), **attributes | {"Modality": modality, "RescaleSlope": "1"})
        path = write(tmp_path / f"{modality}.dcm", made)
        slope = b"\x28\0\x53\x10DS\x02\0"
        path.write_bytes(path.read_bytes().replace(slope + b"1 ", slope + b"x "))
    assert read_image(tmp_path / "CR.dcm").slope == 1
    with pytest.raises(Refused, match="undecodable"):
        read_image(tmp_path / "CT.dcm")


@pytest.mark.parametrize(
    "tail", [b"\0" * 1000, b"\xff" * 999, b"trailing rubbish of a tape archive" * 9, b"\xfc\xff\xfc\xff"]
)
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000Lossless])
def test_what_trails_the_pixels_is_passed_over(tmp_path: Path, tail: bytes, syntax: str) -> None:
    path = write(tmp_path / "x.dcm", dataset(DEEP, syntax=syntax, bits=12))
    path.write_bytes(path.read_bytes() + tail)
    np.testing.assert_array_equal(read_image(path).display, DEEP)


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Äneas^Rüdiger"),
        ("ISO_IR 192", "Люкceмбypг"),
        (["ISO 2022 IR 6", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO 2022 IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ],
)
def test_names_in_other_scripts_are_kept(tmp_path: Path, charset: str | list[str], name: str) -> None:
    image = reading_of(tmp_path, DEEP, bits=12, SpecificCharacterSet=charset, PatientName=name)
    assert image.metadata["PatientName"] == name


@pytest.mark.parametrize(
    ("keyword", "written", "kept"),
    [
        ("StudyDate", b"20200230", "20200230"),
        ("PixelSpacing", b"0,143\\0,15 ", [0.143, 0.15]),
        ("InstanceNumber", b" 3 ", 3.0),
        ("InstanceNumber", b"3a", None),
        ("KVP", b"1e400 ", None),
        ("PatientName", b"A^B^^Dr=\0=x", "A^B^^Dr==x"),
        ("PatientAge", b"45", "45"),
    ],
)
def test_odd_values_are_kept_as_far_as_they_make_sense(
    tmp_path: Path, keyword: str, written: bytes, kept: object
) -> None:
    made = dataset(DEEP, syntax=ImplicitVRLittleEndian, bits=12)
    written += b" " * (len(written) % 2)
    made.add_new(keyword, "OB", written)
    assert read_image(write(tmp_path / "x.dcm", made)).metadata[keyword] == kept


def test_24_bit_values_are_brought_to_16_bits(tmp_path: Path) -> None:
    image = reading_of(tmp_path, DEEP.astype(np.uint32) << 12, bits=24)
    values = image.display * image.slope + image.intercept
    np.testing.assert_allclose(values, DEEP.astype(float) * 4096, atol=image.slope)


def test_colour_captures_are_read_as_grey(tmp_path: Path) -> None:
    rgb = np.dstack([SHALLOW] * 3)
    np.testing.assert_array_equal(reading_of(tmp_path, rgb, Modality="OT").display, SHALLOW)
    neutral = np.full_like(SHALLOW, 128)
    ybr = reading_of(tmp_path, np.dstack([SHALLOW, neutral, neutral]), PhotometricInterpretation="YBR_FULL")
    np.testing.assert_array_equal(ybr.display, SHALLOW)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("pixels", "first", "entry", "scale"),
    [
        (255 - SHALLOW, 0, "u2", 257),
        (255 - SHALLOW, 0, "u2", 1),
        (255 - SHALLOW, 0, "u1", 1),
        (1255 - SHALLOW.astype(np.uint16), 1000, "u1", 1),
        (155 - SHALLOW.astype(np.int16), -100, "u2", 257),
    ],
    ids=["16-bit", "8-in-16-bit", "8-bit", "offset", "signed"],
)
def test_a_palette_is_looked_up(
    tmp_path: Path, syntax: str, pixels: np.ndarray, first: int, entry: str, scale: int
) -> None:
    made = dataset(pixels, syntax=syntax, PhotometricInterpretation="PALETTE COLOR")
    order = "<" if syntax != ExplicitVRBigEndian else ">"
    table = (np.arange(256)[::-1] * scale).astype(f"{order}{entry}")
    if entry == "u1" and order == ">":
        table = table.reshape(-1, 2)[:, ::-1]
    for colour in ("Red", "Green", "Blue"):
        stem = f"{colour}PaletteColorLookupTable"
        made.add_new(f"{stem}Descriptor", "SS" if first < 0 else "US", [256, first, 16 if scale > 1 else 8])
        made.add_new(f"{stem}Data", "OW", table.tobytes())
    image = read_image(write(tmp_path / "x.dcm", made))
    np.testing.assert_array_equal(image.display, SHALLOW.astype(int) * scale)


@pytest.mark.parametrize("signed", [True, False])
def test_a_ct_slice_works_in_hounsfield_units(tmp_path: Path, signed: bool) -> None:
    hounsfield = ct_slice()
    stored = hounsfield if signed else (hounsfield + 1024).astype(np.uint16)
    attributes = CT | {"RescaleIntercept": "0" if signed else "-1024"}
    image = reading_of(tmp_path, stored, bits=16 if signed else 12, **attributes)
    assert image.slot is Slot.CT
    np.testing.assert_array_equal(image.working, (hounsfield.astype(int) + 1024) * 16)
    np.testing.assert_array_equal(image.display * image.slope + image.intercept, hounsfield)


def test_a_ct_slice_without_a_window_is_shown_in_the_lung_window(tmp_path: Path) -> None:
    image = reading_of(tmp_path, ct_slice(), **CT)
    assert image.window_center * image.slope + image.intercept == -600
    assert image.window_width == 1500
    assert image.preview[48, 40] == 236
    assert image.preview[48, 20] == 85


def test_a_ct_slice_keeps_its_units_under_a_curve(tmp_path: Path) -> None:
    hounsfield = ct_slice()
    curve = {"WindowCenter": "-600", "WindowWidth": "1500", "VOILUTFunction": "SIGMOID"}
    image = reading_of(tmp_path, hounsfield, **CT | curve)
    plain = reading_of(tmp_path, hounsfield, **CT)
    assert (image.slope, image.intercept) == (plain.slope, plain.intercept)
    np.testing.assert_array_equal(image.display, plain.display)
    shown = np.clip((image.display - image.window_center) / image.window_width + 0.5, 0, 1)
    np.testing.assert_allclose(image.preview, 255 * shown, atol=2)


def test_the_kept_metadata_is_plain_and_short(tmp_path: Path) -> None:
    made = dataset(DEEP, bits=12, PatientName="Doe^Jane", PatientID="7\n7", PixelSpacing=[0.1, 0.2])
    made.PatientComments = "not kept"
    made.StudyDescription = ""
    metadata = read_image(write(tmp_path / "x.dcm", made)).metadata
    assert metadata["PatientName"] == "Doe^Jane"
    assert metadata["PatientID"] == "77"
    assert metadata["PixelSpacing"] == [0.1, 0.2]
    assert metadata["StudyDescription"] is None
    assert "PatientComments" not in metadata
