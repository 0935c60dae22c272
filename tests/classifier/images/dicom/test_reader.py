"""DICOM files: every transfer syntax, and what the header states of how the stored values are to be seen."""

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

from classifier.errors import Refused
from classifier.images.decoded_image import DecodedImage
from classifier.images.read import read_image
from tests.classifier.images.samples import LOSSLESS, LOSSY, RAW, chest, dataset, write

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
    if function == "SIGMOID":
        shown = (image.display - image.window_center) / image.window_width + 0.5
        np.testing.assert_allclose(shown, apply_voi_lut(DEEP, made) / 4095, atol=2e-5)
        assert image.notes == {"curve_applied": {}}
    else:
        assert (image.window_center, image.window_width) == (center, width)
        assert not image.notes


@pytest.mark.parametrize("falling", [False, True])
def test_what_a_curve_clips_comes_back_in_a_wider_window(tmp_path: Path, falling: bool) -> None:
    item = lut_item(12)
    item.LUTDescriptor = [1000, 1500, 12]
    item.LUTData = [4095 * at // 999 for at in (range(999, -1, -1) if falling else range(1000))]
    made = dataset(DEEP, bits=12)
    made.VOILUTSequence = [item]
    image = read_image(write(tmp_path / "x.dcm", made))
    stored, at = np.unique(DEEP, return_index=True)
    steps = np.diff(image.display.ravel()[at].astype(int))
    assert (stored < 1500).any()
    assert (stored > 2500).any()
    assert steps.all()
    assert len(set(np.sign(steps))) == 1


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


def test_padding_is_black_and_has_no_state_in_the_window(tmp_path: Path) -> None:
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
def test_a_codestream_far_deeper_than_the_header_states_is_believed(tmp_path: Path, syntax: str) -> None:
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
def test_fragments_are_joined_whatever_their_offset_table_states(tmp_path: Path, offsets: list[int]) -> None:
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
