from __future__ import annotations

import pytest

from webapp.scans.models import Scan
from webapp.scans.pixels import Spacing, spacing_of

FINE, COARSE = [0.143, 0.143], [0.168, 0.168]


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"PixelSpacing": FINE}, Spacing(0.143, 0.143, "patient")),
        ({"PixelSpacing": FINE, "ImagerPixelSpacing": COARSE}, Spacing(0.143, 0.143, "patient")),
        ({"ImagerPixelSpacing": COARSE}, Spacing(0.168, 0.168, "detector")),
        ({"PixelSpacing": COARSE, "ImagerPixelSpacing": COARSE}, Spacing(0.168, 0.168, "detector")),
        ({"PixelSpacing": [0.2, 0.1]}, Spacing(0.2, 0.1, "patient")),
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
