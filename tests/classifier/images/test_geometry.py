"""Images are displayed, and seen by models, upright and with square pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.images.geometry import turns
from classifier.images.read import read_image
from tests.classifier.images.samples import CT, chest, ct_slice, dataset, write

DEEP = chest(192, 160, top=4000)
DEEP[20:40, 10:30] = 3000  # so that no mirrored image is the same

STORED = {
    ("L", "F"): DEEP,
    ("R", "F"): DEEP[:, ::-1],
    ("L", "H"): DEEP[::-1],
    ("R", "H"): DEEP[::-1, ::-1],
    ("F", "L"): DEEP.T,
    ("F", "R"): DEEP[:, ::-1].T,
    ("H", "L"): DEEP[::-1].T,
    ("H", "R"): DEEP[::-1, ::-1].T,
}


@pytest.mark.parametrize("orientation", STORED, ids="".join)
def test_a_radiograph_is_turned_upright_by_its_patient_orientation(
    tmp_path: Path, orientation: tuple[str, str]
) -> None:
    stored = np.ascontiguousarray(STORED[orientation])
    made = dataset(stored, bits=12, PatientOrientation=list(orientation))
    decoded = read_image(write(tmp_path / "x.dcm", made))
    np.testing.assert_array_equal(decoded.display, DEEP)
    assert (decoded.rows, decoded.columns) == DEEP.shape
    assert ("turned" in decoded.notes) == (orientation != ("L", "F"))


@pytest.mark.parametrize(
    "orientation", [["A", "F"], ["P", "F"], ["L", ""], ["L"], ["L", "R"], ["X", "Y"], []]
)
def test_another_view_or_an_unknown_direction_stays_as_stored(orientation: list[str]) -> None:
    assert turns(orientation) == ()


def test_oblique_directions_go_by_their_first_letter() -> None:
    assert turns(["RA", "FL"]) == ("flip_horizontally",)


def test_padding_is_turned_with_its_image(tmp_path: Path) -> None:
    pixels = DEEP.copy()
    pixels[:, :6] = 4095
    made = dataset(
        np.ascontiguousarray(pixels[:, ::-1]), bits=12, PatientOrientation=["R", "F"], PixelPaddingValue=4095
    )
    shown = read_image(write(tmp_path / "x.dcm", made)).display
    assert not shown[:, :6].any()
    np.testing.assert_array_equal(shown[:, 6:], pixels[:, 6:])


@pytest.mark.parametrize(
    "sizes",
    [
        {"PixelSpacing": ["0.4", "0.2"]},
        {"ImagerPixelSpacing": ["0.4", "0.2"]},
        {"NominalScannedPixelSpacing": ["0.4", "0.2"]},
        {"PixelAspectRatio": ["2", "1"]},
    ],
    ids=lambda sizes: next(iter(sizes)),
)
@pytest.mark.parametrize("tall", [True, False])
def test_pixels_that_are_not_square_are_made_square(tmp_path: Path, sizes: dict, tall: bool) -> None:
    (keyword, value), *_ = sizes.items()
    stored = DEEP[::2] if tall else DEEP[:, ::2]
    made = dataset(np.ascontiguousarray(stored), bits=12, **{keyword: value if tall else value[::-1]})
    decoded = read_image(write(tmp_path / "x.dcm", made))
    assert decoded.display.shape == decoded.working.shape == decoded.preview.shape == DEEP.shape
    assert decoded.notes["square_pixels"] == {"rows": stored.shape[0], "columns": stored.shape[1]}
    expected = Image.fromarray(stored.astype(np.float32)).resize(DEEP.shape[::-1], Image.Resampling.BICUBIC)
    assert np.abs(decoded.display - np.clip(np.asarray(expected), 0, 4095)).max() <= 1


def test_turning_by_a_quarter_turns_the_pixels_too(tmp_path: Path) -> None:
    stored = np.ascontiguousarray(DEEP[:, ::2].T)
    made = dataset(stored, bits=12, PatientOrientation=["F", "L"], PixelSpacing=["0.4", "0.2"])
    assert read_image(write(tmp_path / "x.dcm", made)).display.shape == DEEP.shape


@pytest.mark.parametrize("value", [["1", "1"], ["0", "1"], ["900", "1"], ["nan", "1"], ["1.001", "1"]])
def test_square_and_senseless_pixels_stay_as_they_are(tmp_path: Path, value: list[str]) -> None:
    made = dataset(DEEP, bits=12)
    made.add_new("PixelSpacing", "LO", value)
    decoded = read_image(write(tmp_path / "x.dcm", made))
    np.testing.assert_array_equal(decoded.display, DEEP)
    assert decoded.notes == {}


def test_a_ct_slice_is_not_turned(tmp_path: Path) -> None:
    stored = ct_slice()
    stored[20:40, 10:30] = 500
    made = dataset(stored, **CT, PatientOrientation=["R", "F"])
    decoded = read_image(write(tmp_path / "x.dcm", made))
    np.testing.assert_array_equal(decoded.display * decoded.slope + decoded.intercept, stored)
