from __future__ import annotations

import pytest

from webapp.scans.models import Scan
from webapp.scans.pixels import Spacing, orientation_of, spacing_of

FINE, COARSE = [0.143, 0.143], [0.168, 0.168]


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"PixelSpacing": FINE}, Spacing(0.143, 0.143, "unstated")),
        ({"PixelSpacing": FINE, "Modality": "CT"}, Spacing(0.143, 0.143, "patient")),
        ({"PixelSpacing": FINE, "PixelSpacingCalibrationType": "FIDUCIAL"}, Spacing(0.143, 0.143, "patient")),
        (
            {"PixelSpacing": COARSE, "ImagerPixelSpacing": COARSE, "PixelSpacingCalibrationType": "GEOMETRY"},
            Spacing(0.168, 0.168, "patient"),
        ),
        ({"PixelSpacing": FINE, "PixelSpacingCalibrationType": "GUESS"}, Spacing(0.143, 0.143, "unstated")),
        ({"PixelSpacing": FINE, "NominalScannedPixelSpacing": FINE}, Spacing(0.143, 0.143, "detector")),
        ({"NominalScannedPixelSpacing": COARSE}, Spacing(0.168, 0.168, "detector")),
        ({"PixelSpacing": FINE, "ImagerPixelSpacing": COARSE}, Spacing(0.143, 0.143, "patient")),
        ({"ImagerPixelSpacing": COARSE}, Spacing(0.168, 0.168, "detector")),
        ({"PixelSpacing": COARSE, "ImagerPixelSpacing": COARSE}, Spacing(0.168, 0.168, "detector")),
        ({"PixelSpacing": [0.2, 0.1]}, Spacing(0.2, 0.1, "unstated")),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": COARSE}, Spacing(0.168, 0.168, "detector")),
        ({}, None),
        ({"PixelSpacing": [0.0, 0.0]}, None),
        ({"PixelSpacing": [143.0, 143.0]}, None),
        ({"PixelSpacing": [0.143]}, None),
        ({"PixelSpacing": [0.143, None]}, None),
        ({"PixelSpacing": [float("nan"), 0.143]}, None),
        ({"PixelSpacing": "0.143"}, None),
    ],
)
def test_a_pixel_is_as_large_as_the_file_credibly_states(metadata, found):
    assert spacing_of(Scan(metadata=metadata)) == found


def test_the_spacing_is_that_of_the_image_as_displayed():
    """Enlarged to square pixels, and a quarter turned: lengths in both directions stay right."""
    metadata = {"PixelSpacing": [0.4, 0.2], "ImagerPixelSpacing": [0.5, 0.25]}
    square = Spacing(0.2, 0.2, "patient")
    notes = {"square_pixels": {"rows": 300, "columns": 600}}
    assert spacing_of(Scan(metadata=metadata, notes=notes, rows=600, columns=600)) == square
    notes = {"square_pixels": {"rows": 600, "columns": 300}, "turned": {"transposed": True}}
    assert spacing_of(Scan(metadata=metadata, notes=notes, rows=600, columns=600)) == square


@pytest.mark.parametrize(
    ("metadata", "notes", "directions"),
    [
        ({"PatientOrientation": ["L", "F"]}, {}, ["L", "F"]),
        ({"PatientOrientation": ["a", "FP"]}, {}, ["A", "FP"]),
        ({"PatientOrientation": ["R", "F"]}, {"turned": {"stored": "R\\F", "transposed": False}}, ["L", "F"]),
        ({"PatientOrientation": ["L", None]}, {}, None),
        ({"PatientOrientation": ["<b>", "F"]}, {}, None),
        ({"PatientOrientation": "L"}, {}, None),
        ({}, {}, None),
    ],
)
def test_the_directions_are_those_of_the_displayed_image_where_the_header_states_both(
    metadata, notes, directions
):
    assert orientation_of(Scan(metadata=metadata, notes=notes)) == directions
