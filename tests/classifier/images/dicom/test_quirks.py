"""DICOM files whose header is wrong, though what is meant can be reported from the pixels."""

from __future__ import annotations

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    SecondaryCaptureImageStorage,
)

from classifier.errors import Refused
from classifier.images.read import read_image
from classifier.reasons import RefusalReason
from tests.classifier.images.samples import CT, LOSSLESS, RAW, chest, ct_slice, dataset, write

DEEP, SHALLOW = chest(), (chest() >> 4).astype(np.uint8)


@pytest.mark.parametrize("syntax", [*RAW, *LOSSLESS], ids=lambda s: s.name)
@pytest.mark.parametrize("text", [8, 11])
@pytest.mark.parametrize("signed", [False, True])
def test_an_image_that_goes_on_above_the_stored_bits_is_read_whole(
    tmp_path: Path, syntax: str, text: int, signed: bool
) -> None:
    pixels = DEEP.astype(np.int16) - 2048 if signed else DEEP
    encoded = dataset(pixels.view(np.uint16), syntax=syntax)
    encoded.BitsStored, encoded.HighBit, encoded.PixelRepresentation = text, text - 1, int(signed)
    image = read_image(write(tmp_path / "x.dcm", encoded))
    np.testing.assert_array_equal(image.display * image.slope + image.intercept, pixels)


@pytest.mark.parametrize(("vr", "value"), [("US", [0, 1]), ("US", None), ("UN", b"\0\0\1\0"), ("LO", "none")])
def test_a_padding_value_that_is_no_number_is_passed_over(tmp_path: Path, vr: str, value: object) -> None:
    made = dataset(DEEP, bits=12)
    made.add_new("PixelPaddingValue", vr, value)
    np.testing.assert_array_equal(read_image(write(tmp_path / "x.dcm", made)).display, DEEP)


@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize("left", [{}, {"LUTDescriptor": [4096, 0, 12]}])
def test_a_lookup_table_without_entries_is_passed_over(tmp_path: Path, keyword: str, left: dict) -> None:
    item = Dataset()
    for name, value in left.items():
        setattr(item, name, value)
    made = dataset(DEEP, bits=12, WindowCenter="1000", WindowWidth="2000", **{keyword: [item]})
    image = read_image(write(tmp_path / "x.dcm", made))
    assert (image.window_center, image.window_width) == (1000, 2000)


def test_colour_stated_to_be_halved_that_is_whole_is_read_as_whole(tmp_path: Path) -> None:
    grey = np.full_like(SHALLOW, 128)
    made = dataset(np.dstack([SHALLOW, grey, grey]), PhotometricInterpretation="YBR_FULL_422", Modality="OT")
    made.SOPClassUID = SecondaryCaptureImageStorage
    np.testing.assert_array_equal(read_image(write(tmp_path / "x.dcm", made)).display, SHALLOW)


def test_a_ct_slice_of_unsigned_values_without_rescale_has_no_hounsfield_units(tmp_path: Path) -> None:
    unsigned = (ct_slice() + 1024).astype(np.uint16)
    made = dataset(unsigned, **CT)
    del made.RescaleSlope, made.RescaleIntercept
    with pytest.raises(Refused) as caught:
        read_image(write(tmp_path / "x.dcm", made))
    assert caught.value.reason is RefusalReason.UNDECODABLE
    assert "Hounsfield" in caught.value.detail


def test_a_ct_slice_of_signed_values_without_rescale_is_taken_to_be_in_hounsfield_units(
    tmp_path: Path,
) -> None:
    made = dataset(ct_slice(), **CT)
    del made.RescaleSlope, made.RescaleIntercept
    image = read_image(write(tmp_path / "x.dcm", made))
    np.testing.assert_array_equal(image.display * image.slope + image.intercept, ct_slice())


@pytest.mark.parametrize(
    ("stated", "actual"),
    [
        (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
    ],
)
def test_a_data_set_in_another_plain_syntax_than_is_stated_is_read(
    tmp_path: Path, stated: str, actual: str
) -> None:
    as_stated, as_is = (
        write(tmp_path / "x.dcm", dataset(DEEP, syntax=syntax, bits=12)).read_bytes()
        for syntax in (stated, actual)
    )
    meta = as_stated[: 144 + int.from_bytes(as_stated[140:144], "little")]
    body = as_is[144 + int.from_bytes(as_is[140:144], "little") :]
    (tmp_path / "y.dcm").write_bytes(meta + body)
    np.testing.assert_array_equal(read_image(tmp_path / "y.dcm").display, DEEP)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("length", [None, 0, 1, 0xFFFFFFFF])
def test_jpeg_2000_in_boxes_is_read_whatever_they_state_of_their_length(
    tmp_path: Path, length: int | None
) -> None:
    made = dataset(DEEP, syntax=JPEG2000Lossless, bits=12)
    stream = bytearray(imagecodecs.jpeg2k_encode(DEEP, codecformat="jp2", bitspersample=12))
    if length is not None:
        stream[12:16] = length.to_bytes(4, "big")
    made.PixelData = encapsulate([bytes(stream)])
    np.testing.assert_array_equal(read_image(write(tmp_path / "x.dcm", made)).display, DEEP)


@pytest.mark.parametrize("wrong", [{"PhotometricInterpretation": "PALETTE COLOR"}, {"BitsStored": 0}])
def test_colour_that_cannot_be_what_its_header_states_is_undecodable(tmp_path: Path, wrong: dict) -> None:
    table = np.arange(256, dtype="<u2").tobytes()
    palette = {f"{c}PaletteColorLookupTable{part}": value for c in ("Red", "Green", "Blue")
               for part, value in (("Descriptor", [256, 0, 16]), ("Data", table))}  # fmt: skip
    made = dataset(
        np.dstack([SHALLOW] * 3), **palette, SOPClassUID=SecondaryCaptureImageStorage, Modality="OT"
    )
    for keyword, value in wrong.items():
        setattr(made, keyword, value)
    with pytest.raises(Refused) as caught:
        read_image(write(tmp_path / "x.dcm", made))
    assert caught.value.reason is RefusalReason.UNDECODABLE


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"])
def test_a_number_beyond_all_measure_is_none(tmp_path: Path, keyword: str) -> None:
    window = {"WindowCenter": "1000", "WindowWidth": "2000"}
    made = dataset(DEEP.astype(np.uint32) << 16, bits=32, **window | {keyword: "1.7e308"})
    made.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    image = read_image(tmp_path / "x.dcm")
    numbers = (image.slope, image.intercept, image.window_center, image.window_width)
    assert np.isfinite(numbers).all()
    assert json.loads(json.dumps(image.as_json(), allow_nan=False))["rows"] == DEEP.shape[0]
