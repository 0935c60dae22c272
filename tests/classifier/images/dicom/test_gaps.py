"""DICOM files whose header contradicts their pixel data, or lacks what the rest of it settles."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from classifier.errors import Refused
from classifier.images.read import read_image
from classifier.reasons import PIXELS_EXTRA, PIXELS_MISSING, RefusalReason
from tests.classifier.images.samples import LOSSLESS, LOSSY, chest, dataset, write

DEEP, SHALLOW = chest(), (chest() >> 4).astype(np.uint8)


@pytest.mark.parametrize("syntax", [*LOSSLESS, *LOSSY], ids=lambda s: s.name)
def test_native_pixels_under_a_compressed_syntax_are_read(tmp_path: Path, syntax: UID) -> None:
    path = write(tmp_path / "x.dcm", dataset(DEEP, bits=12))
    restate(path, padded(ExplicitVRLittleEndian), padded(syntax))
    np.testing.assert_array_equal(read_image(path).display, DEEP)


def padded(uid: UID) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def restate(path: Path, old: bytes, new: bytes) -> None:
    """Replace the value of TransferSyntaxUID in the file meta information."""
    before, after = (b"\x02\0\x10\0UI" + len(v).to_bytes(2, "little") + v for v in (old, new))
    data = path.read_bytes()
    assert data.count(before) == 1
    length = int.from_bytes(data[140:144], "little") + len(after) - len(before)
    path.write_bytes((data[:140] + length.to_bytes(4, "little") + data[144:]).replace(before, after))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda s: s.name)
@pytest.mark.parametrize("blank", [b"", b"\0\0", b"    "])
def test_a_blank_transfer_syntax_counts_as_none(tmp_path: Path, syntax: UID, blank: bytes) -> None:
    path = write(tmp_path / "x.dcm", dataset(DEEP, bits=12, syntax=syntax))
    restate(path, padded(syntax), blank)
    np.testing.assert_array_equal(read_image(path).display, DEEP)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, RLELossless], ids=lambda s: s.name)
@pytest.mark.parametrize(
    "end", [b"", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\0" * 8], ids=["none", "of an item", "zeros"]
)
def test_fragments_without_their_closing_delimiter_are_read(tmp_path: Path, syntax: UID, end: bytes) -> None:
    path = write(tmp_path / "x.dcm", dataset(SHALLOW, syntax=syntax))
    expected = read_image(path).display
    data = path.read_bytes()
    assert data.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
    path.write_bytes(data[:-8] + end)
    np.testing.assert_array_equal(read_image(path).display, expected)


def colour_jpeg(subsampling: str) -> bytes:
    """A JPEG of grey in YCbCr without JFIF and Adobe markers."""
    data = imagecodecs.jpeg8_encode(np.stack([SHALLOW] * 3, -1), level=98, subsampling=subsampling)
    at = data.index(b"\xff\xe0")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


@pytest.mark.parametrize("stated", ["RGB", "YBR_FULL_422", "YBR_FULL"])
@pytest.mark.parametrize("subsampling", ["420", "422", "444"])
def test_luminance_and_chroma_are_read_as_such_whatever_is_stated(
    tmp_path: Path, stated: str, subsampling: str
) -> None:
    made = dataset(np.stack([SHALLOW] * 3, -1), PhotometricInterpretation=stated)
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.PixelData = encapsulate([colour_jpeg(subsampling)])
    made["PixelData"].is_undefined_length = True
    shown = read_image(write(tmp_path / "x.dcm", made)).display
    assert np.abs(shown.astype(int) - SHALLOW).mean() < 2


@pytest.mark.parametrize("stated", ["RGB", "YBR_FULL"])
def test_native_grey_in_rgb_is_grey_whatever_is_stated(tmp_path: Path, stated: str) -> None:
    made = dataset(np.stack([SHALLOW] * 3, -1), PhotometricInterpretation=stated)
    shown = read_image(write(tmp_path / "x.dcm", made)).display
    assert np.abs(shown.astype(int) - SHALLOW).mean() < 2


def test_a_colour_photograph_keeps_its_stated_colours(tmp_path: Path) -> None:
    pixels = np.stack([SHALLOW, SHALLOW[::-1], SHALLOW[:, ::-1]], -1)
    shown = read_image(write(tmp_path / "x.dcm", dataset(pixels))).display
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(shown - luma).max() <= 1


@pytest.mark.parametrize("times", [2, 3])
def test_more_pixel_data_than_declared_is_refused_with_the_reason(tmp_path: Path, times: int) -> None:
    made = dataset(SHALLOW)
    made.PixelData = SHALLOW.tobytes() * times
    with pytest.raises(Refused) as refused:
        read_image(write(tmp_path / "x.dcm", made))
    assert refused.value.reason is RefusalReason.UNDECODABLE
    assert refused.value.detail == PIXELS_EXTRA


@pytest.mark.parametrize("times", [0.5, 0.99])
def test_less_pixel_data_than_declared_is_refused_with_the_reason(tmp_path: Path, times: float) -> None:
    made = dataset(DEEP, bits=12)
    made.PixelData = made.PixelData[: int(len(made.PixelData) * times) & ~1]
    with pytest.raises(Refused) as refused:
        read_image(write(tmp_path / "x.dcm", made))
    assert refused.value.reason is RefusalReason.UNDECODABLE
    assert refused.value.detail == PIXELS_MISSING


@pytest.mark.parametrize("left", ["Rows", "Columns", "BitsAllocated"])
def test_an_image_without_its_size_is_refused_with_the_reason(tmp_path: Path, left: str) -> None:
    made = dataset(DEEP, bits=12)
    delattr(made, left)
    with pytest.raises(Refused) as refused:
        read_image(write(tmp_path / "x.dcm", made))
    assert refused.value.reason is RefusalReason.UNDECODABLE
    assert refused.value.detail == f"{left} is missing or no number"


def test_signed_values_without_their_sign_above_the_stored_bits_keep_it(tmp_path: Path) -> None:
    """A test pattern, whose flat fields look as smooth with the sign as without it."""
    fields = np.random.default_rng(7).integers(-2048, 2048, (16, 16)).astype(np.int16)
    signed = np.repeat(np.repeat(fields, 8, 0), 8, 1)
    made = dataset(signed, bits=12)
    stored = signed & 0x0FFF
    stored[0, :64] = signed[0, :64]  # some writers extend the sign of a few values only
    made.PixelData = stored.tobytes()
    np.testing.assert_array_equal(read_image(write(tmp_path / "x.dcm", made)).display, signed + 2048)


def test_signed_values_that_need_a_bit_more_than_is_stated_are_read_whole(tmp_path: Path) -> None:
    """As in CT: from -1000 to more than twelve signed bits hold."""
    signed = DEEP.astype(np.int16) - 1000
    decoded = read_image(write(tmp_path / "x.dcm", dataset(signed, bits=12)))
    np.testing.assert_array_equal(decoded.display * decoded.slope + decoded.intercept, signed)


@pytest.mark.parametrize("left", [("BitsStored",), ("BitsStored", "HighBit"), ("HighBit",)])
def test_bits_that_are_not_stated_follow_from_the_rest(tmp_path: Path, left: tuple[str, ...]) -> None:
    whole = read_image(write(tmp_path / "whole.dcm", dataset(DEEP, bits=12)))
    made = dataset(DEEP, bits=12)
    for keyword in left:
        delattr(made, keyword)
    np.testing.assert_array_equal(read_image(write(tmp_path / "x.dcm", made)).working, whole.working)


@pytest.mark.parametrize("keyword", ["BitsStored", "BitsAllocated", "Rows", "SamplesPerPixel", "HighBit"])
def test_a_number_that_is_written_as_text_counts(tmp_path: Path, keyword: str) -> None:
    made = dataset(DEEP, bits=12)
    value = made[keyword].value
    del made[keyword]
    made.add_new(keyword, "DS", f"{value}")
    np.testing.assert_array_equal(read_image(write(tmp_path / "x.dcm", made)).display, DEEP)


@pytest.mark.parametrize("stated", ["", "abc", " 1 ", "1.0", "0"])
def test_a_number_of_frames_that_is_none_is_one(tmp_path: Path, stated: str) -> None:
    made = dataset(DEEP, bits=12)
    made.add_new("NumberOfFrames", "LO", stated)
    np.testing.assert_array_equal(read_image(write(tmp_path / "x.dcm", made)).display, DEEP)


@pytest.mark.parametrize("stated", ["MONOCHROME 2", "monochrome2", "MONOCHROME2\0"])
def test_a_photometric_interpretation_is_understood_with_blanks(tmp_path: Path, stated: str) -> None:
    made = dataset(DEEP, bits=12)
    made.PhotometricInterpretation = stated
    np.testing.assert_array_equal(read_image(write(tmp_path / "x.dcm", made)).display, DEEP)


@pytest.mark.parametrize("slope", [1.0, 0.0005, 0.5])
def test_thumbnail_and_model_see_what_the_viewer_shows(tmp_path: Path, slope: float) -> None:
    """The window lies in rescaled units, whose steps may be far below 1."""
    made = dataset(DEEP, bits=12, RescaleSlope=str(slope), RescaleIntercept="0")
    made.WindowCenter, made.WindowWidth = str(2048 * slope), str(4096 * slope)
    decoded = read_image(write(tmp_path / "x.dcm", made))
    low = decoded.window_center - decoded.window_width / 2
    viewer = np.clip((decoded.display - low) / decoded.window_width, 0, 1)
    assert np.abs(decoded.working / 65535 - viewer).max() < 0.002
    assert np.abs(decoded.preview / 255 - viewer).max() < 0.006


def test_an_escape_of_chinese_characters_is_no_part_of_the_name(tmp_path: Path) -> None:
    made = dataset(DEEP, bits=12)
    path = write(tmp_path / "x.dcm", made)
    data = bytearray(path.read_bytes())
    name = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab "
    charset = element(0x0008, 0x0005, b"CS", b"\\ISO 2022 IR 58 ")
    at = data.index(b"\x08\0\x16\0UI")
    patient = data.index(b"\x28\0\x02\0US")
    data[patient:patient] = element(0x0010, 0x0010, b"PN", name)
    data[at:at] = charset
    path.write_bytes(bytes(data))
    assert read_image(path).metadata["PatientName"] == "Zhang^XiaoDong=张^小东"


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    head = group.to_bytes(2, "little") + number.to_bytes(2, "little") + vr
    return head + len(value).to_bytes(2, "little") + value
