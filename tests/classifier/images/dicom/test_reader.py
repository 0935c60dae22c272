"""DICOM files: every transfer syntax, and what the header says of how the stored values are to be seen."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    HTJ2K,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLSLossless,
    RLELossless,
)

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.decoded_image import DecodedImage
from classifier.images.dicom.metadata import age_in_years
from classifier.images.read import read_image
from tests.classifier.images.samples import CT, LOSSLESS, LOSSY, RAW, chest, ct_slice, dataset, write

DEEP, SHALLOW = chest(), (chest() >> 4).astype(np.uint8)
LUT_FIRST, LUT_TOP = 100, 1000


def reading_of(tmp_path: Path, pixels: np.ndarray, **attributes: object) -> DecodedImage:
    return read_image(write(tmp_path / "x.dcm", dataset(pixels, **attributes)))


def lut_item(keyword_bits: int = 16) -> Dataset:
    """A curved table of 3,000 entries from `LUT_FIRST` on."""
    item = Dataset()
    entries = (np.sqrt(np.linspace(0, 1, 3000)) * ((1 << keyword_bits) - 1)).astype(int)
    item.LUTDescriptor = [3000, LUT_FIRST, keyword_bits]
    item.LUTData = entries.tolist()
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


@pytest.mark.parametrize("syntax", RAW + LOSSLESS, ids=lambda s: s.name)
def test_every_lossless_syntax_gives_the_very_pixels(tmp_path: Path, syntax: str) -> None:
    image = reading_of(tmp_path, DEEP, syntax=syntax, bits=12)
    np.testing.assert_array_equal(image.display, DEEP)
    assert image.metadata["TransferSyntaxUID"] == syntax


@pytest.mark.parametrize("syntax", LOSSY, ids=lambda s: s.name)
def test_every_lossy_syntax_comes_close(tmp_path: Path, syntax: str) -> None:
    pixels, bits = (SHALLOW, 8) if syntax == JPEGBaseline8Bit else (DEEP, 12)
    image = reading_of(tmp_path, pixels, syntax=syntax, bits=bits)
    difference = np.abs(image.display.astype(int) - pixels)
    assert difference.mean() < 0.005 * (1 << bits)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_file_without_preamble_meta_information_or_extension_is_known_by_its_content(
    tmp_path: Path, syntax: str
) -> None:
    made = dataset(DEEP, syntax=syntax, bits=12)
    bare = Dataset(made)
    bare.save_as(
        tmp_path / "bare",
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        enforce_file_format=False,
    )
    np.testing.assert_array_equal(read_image(tmp_path / "bare").display, DEEP)


def test_monochrome1_is_shown_turned_and_keeps_its_modality_values(tmp_path: Path) -> None:
    image = reading_of(tmp_path, 4095 - DEEP, bits=12, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(image.display, DEEP)
    np.testing.assert_array_equal(image.display * image.slope + image.intercept, 4095 - DEEP)
    assert image.working[0, 0] < image.working[90, 40]
    assert not image.polarity_turned


def test_a_wrong_monochrome1_is_recognised_and_turned_back(tmp_path: Path) -> None:
    right = reading_of(tmp_path, DEEP, bits=12)
    wrong = reading_of(tmp_path, DEEP, bits=12, PhotometricInterpretation="MONOCHROME1")
    assert (right.polarity_turned, wrong.polarity_turned) == (False, True)
    np.testing.assert_array_equal(wrong.display, right.display)
    np.testing.assert_array_equal(wrong.working, right.working)
    assert (wrong.slope, wrong.window_center) == (right.slope, right.window_center)


@pytest.mark.parametrize("slope", ["2.5", "-2"])
def test_rescaled_values_can_be_had_back_from_the_display(tmp_path: Path, slope: str) -> None:
    stored = DEEP if float(slope) > 0 else 4095 - DEEP
    image = reading_of(tmp_path, stored, bits=12, RescaleSlope=slope, RescaleIntercept="-300")
    values = image.display * image.slope + image.intercept
    np.testing.assert_allclose(values, stored * float(slope) - 300)
    assert image.display[90, 40] > image.display[0, 0]
    assert not image.polarity_turned


def test_a_modality_lut_is_applied_as_pydicom_applies_it(tmp_path: Path) -> None:
    made = dataset(DEEP, bits=12)
    made.ModalityLUTSequence = [lut_item()]
    made.ModalityLUTSequence[0].ModalityLUTType = "US"
    image = read_image(write(tmp_path / "x.dcm", made))
    np.testing.assert_array_equal(image.display, apply_modality_lut(DEEP, made))
    assert (image.slope, image.intercept) == (1, 0)


@pytest.mark.parametrize("depth", [10, 12, 16])
def test_a_voi_lut_is_applied_as_pydicom_applies_it(tmp_path: Path, depth: int) -> None:
    made = dataset(DEEP, bits=12)
    made.VOILUTSequence = [lut_item(depth)]
    image = read_image(write(tmp_path / "x.dcm", made))
    expected = apply_voi_lut(DEEP, made) / ((1 << depth) - 1)
    np.testing.assert_allclose(image.working / 65535, expected, atol=2e-5)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(1800, 2000), (2048, 4096)])
def test_a_window_is_applied_as_pydicom_applies_it(
    tmp_path: Path, function: str, center: int, width: int
) -> None:
    made = dataset(DEEP, bits=12, WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    image = read_image(write(tmp_path / "x.dcm", made))
    np.testing.assert_allclose(image.working / 65535, apply_voi_lut(DEEP, made) / 4095, atol=2e-5)
    assert (image.window_center, image.window_width) == (center, width)


def test_of_several_windows_the_first_counts(tmp_path: Path) -> None:
    image = reading_of(tmp_path, DEEP, bits=12, WindowCenter=[1500, 40], WindowWidth=[3000, 400])
    assert (image.window_center, image.window_width) == (1500, 3000)


@pytest.mark.parametrize(("center", "width"), [(60_000, 10), (2000, 0), (2000, -5)])
def test_a_window_that_shows_nothing_gives_way_to_the_content(
    tmp_path: Path, center: int, width: int
) -> None:
    image = reading_of(tmp_path, DEEP, bits=12, WindowCenter=center, WindowWidth=width)
    assert image.working.min() == 0
    assert image.working.max() == 65535


def test_padding_is_black_and_has_no_say_in_the_window(tmp_path: Path) -> None:
    padded = (DEEP // 4).astype(np.uint16)
    padded[:20] = 4095
    image = reading_of(tmp_path, padded, bits=12, PixelPaddingValue=4000, PixelPaddingRangeLimit=4095)
    assert not image.display[:20].any()
    assert not image.working[:20].any()
    assert image.window_center + image.window_width / 2 < 1100


@pytest.mark.parametrize("syntax", LOSSY[1:], ids=lambda s: s.name)
def test_what_a_lossy_codec_overshoots_is_clipped_not_wrapped(tmp_path: Path, syntax: str) -> None:
    made = dataset(chest(top=1100), syntax=syntax, bits=12)
    made.BitsStored, made.HighBit = 10, 9
    display = read_image(write(tmp_path / "x.dcm", made)).display
    assert display.max() == 1023
    assert (display[chest(top=1100) > 1030] == 1023).all()


@pytest.mark.parametrize("syntax", LOSSY[1:], ids=lambda s: s.name)
def test_a_codestream_far_deeper_than_the_header_says_is_believed(tmp_path: Path, syntax: str) -> None:
    made = dataset(DEEP, syntax=syntax, bits=12)
    made.BitsStored, made.HighBit = 8, 7
    difference = read_image(write(tmp_path / "x.dcm", made)).display.astype(int) - DEEP
    assert np.abs(difference).mean() < 20


def test_overlays_in_the_unused_bits_of_lossless_data_are_masked(tmp_path: Path) -> None:
    overlaid = DEEP | (np.arange(80, dtype=np.uint16) % 2 << 15)
    for syntax in (*RAW, *LOSSLESS):
        made = dataset(overlaid, syntax=syntax)
        made.BitsStored, made.HighBit = 12, 11
        np.testing.assert_array_equal(read_image(write(tmp_path / "x.dcm", made)).display, DEEP)


@pytest.mark.parametrize("signed", [False, True])
def test_values_at_the_top_of_their_words_are_moved_down(tmp_path: Path, signed: bool) -> None:
    pixels = (DEEP << 4).view(np.int16) if signed else DEEP << 4
    image = reading_of(tmp_path, pixels, bits=12, HighBit=15)
    values = image.display * image.slope + image.intercept
    np.testing.assert_array_equal(values, pixels >> 4)


def test_a_high_bit_that_the_values_belie_is_passed_over(tmp_path: Path) -> None:
    np.testing.assert_array_equal(reading_of(tmp_path, DEEP, bits=12, HighBit=15).display, DEEP)


@pytest.mark.parametrize("syntax", [JPEGExtended12Bit, JPEGLossless, JPEGLSLossless, JPEG2000Lossless])
def test_signed_values_that_a_codec_took_for_unsigned_get_their_sign_back(
    tmp_path: Path, syntax: str
) -> None:
    signed = DEEP.astype(np.int16) - 2048
    made = dataset((signed & 0xFFF).astype(np.uint16), syntax=syntax, bits=12, PixelRepresentation=1)
    image = read_image(write(tmp_path / "x.dcm", made))
    difference = image.display * image.slope + image.intercept - signed
    assert np.median(np.abs(difference)) <= (3 if syntax == JPEGExtended12Bit else 0)


@pytest.mark.parametrize("spectral_end", [0, 62, 255])
def test_12_bit_jpeg_with_an_odd_scan_header_is_read(tmp_path: Path, spectral_end: int) -> None:
    made = dataset(DEEP, syntax=JPEGExtended12Bit, bits=12)
    stream = bytearray(get_frame(made.PixelData, 0, number_of_frames=1))
    scan = stream.index(b"\xff\xda")
    stream[scan + 8] = spectral_end
    made.PixelData = encapsulate([bytes(stream)])
    difference = read_image(write(tmp_path / "x.dcm", made)).display.astype(int) - DEEP
    assert np.abs(difference).mean() < 20


@pytest.mark.parametrize("actual", [*LOSSLESS, JPEGBaseline8Bit, HTJ2K], ids=lambda s: s.name)
@pytest.mark.parametrize("stated", [JPEGBaseline8Bit, JPEG2000Lossless, RLELossless], ids=lambda s: s.name)
def test_a_codestream_of_another_syntax_than_is_stated_is_read_as_what_it_is(
    tmp_path: Path, actual: str, stated: str
) -> None:
    made = dataset(SHALLOW, syntax=actual)
    made.file_meta.TransferSyntaxUID = stated
    assert np.abs(read_image(write(tmp_path / "x.dcm", made)).display.astype(int) - SHALLOW).mean() < 1


@pytest.mark.parametrize("syntax", [*LOSSLESS, JPEGBaseline8Bit, HTJ2K], ids=lambda s: s.name)
def test_a_compressed_file_without_meta_information_is_read(tmp_path: Path, syntax: str) -> None:
    bare = Dataset(dataset(SHALLOW, syntax=syntax))
    bare.save_as(tmp_path / "bare", implicit_vr=False, little_endian=True, enforce_file_format=False)
    assert np.abs(read_image(tmp_path / "bare").display.astype(int) - SHALLOW).mean() < 1


@pytest.mark.parametrize(("tile", "missing"), [(32, 0), (64, 0), (32, 1), (64, 3)])
def test_jpeg_2000_in_tiles_is_read_when_all_of_them_are_there(
    tmp_path: Path, tile: int, missing: int
) -> None:
    saved = io.BytesIO()
    Image.fromarray(SHALLOW).save(saved, "JPEG2000", no_jp2=True, tile_size=(tile, tile), num_resolutions=3)
    *tiles, last = saved.getvalue().split(b"\xff\x90\x00\x0a")
    made = dataset(SHALLOW, syntax=JPEG2000Lossless)
    kept = [*tiles[: len(tiles) - missing], last]
    made.PixelData = encapsulate([b"\xff\x90\x00\x0a".join(kept)])
    path = write(tmp_path / "x.dcm", made)
    if missing:
        with pytest.raises(Refused):
            read_image(path)
    else:
        np.testing.assert_array_equal(read_image(path).display, SHALLOW)


@pytest.mark.parametrize("offsets", [[0], [0, 40], [12], [99_999]])
def test_fragments_are_joined_whatever_their_offset_table_says(tmp_path: Path, offsets: list[int]) -> None:
    made = dataset(DEEP, syntax=JPEG2000Lossless, bits=12)
    stream = get_frame(made.PixelData, 0, number_of_frames=1)
    whole = encapsulate([stream], fragments_per_frame=5, has_bot=False)
    made.PixelData = (
        b"\xfe\xff\x00\xe0" + struct.pack(f"<{1 + len(offsets)}L", 4 * len(offsets), *offsets) + whole[8:]
    )
    made.ExtendedOffsetTable, made.ExtendedOffsetTableLengths = struct.pack("<Q", 7), struct.pack("<Q", 1)
    np.testing.assert_array_equal(read_image(write(tmp_path / "x.dcm", made)).display, DEEP)


@pytest.mark.parametrize("count", ["0", "1", " ", "", "1 "])
def test_however_one_frame_is_counted_it_is_read(tmp_path: Path, count: str) -> None:
    made = dataset(DEEP, bits=12)
    made.add_new("NumberOfFrames", "LO", count)
    path = write(tmp_path / "x.dcm", made)
    path.write_bytes(path.read_bytes().replace(b"\x28\0\x08\0LO", b"\x28\0\x08\0IS"))
    np.testing.assert_array_equal(read_image(path).display, DEEP)


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


@pytest.mark.parametrize(
    ("attributes", "age"),
    [
        ({"PatientAge": "045Y"}, 45),
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientAge": "62"}, 62),
        ({"PatientAge": "045y"}, 45),
        ({"PatientBirthDate": "2000.01.01", "StudyDate": "20300101"}, 30),
        ({"PatientAge": "odd", "PatientBirthDate": "20000101", "StudyDate": "20300101"}, 30),
        ({"PatientBirthDate": "20000101", "StudyDate": "19990101"}, None),
        ({"PatientBirthDate": "20000101"}, None),
        ({}, None),
    ],
)
def test_the_age_is_what_is_stated_or_follows_from_the_dates(attributes: dict, age: float | None) -> None:
    assert age_in_years(attributes) == (None if age is None else pytest.approx(age, abs=0.01))
