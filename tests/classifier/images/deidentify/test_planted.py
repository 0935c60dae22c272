"""A name in each place of a file, in each form: the de-identified file has none of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from classifier.errors import Refused
from classifier.images.deidentify.check import refuse_identity
from classifier.images.deidentify.files import deidentify_file
from classifier.images.deidentify.pseudonyms import DeidentifyOptions
from classifier.images.read import read_image
from tests.classifier.images.deidentify.planted_dicom import Plant, dicom_places
from tests.classifier.images.deidentify.planted_raster import raster_places
from tests.classifier.images.deidentify.search import where_found, written_as

OPTIONS = DeidentifyOptions(b"a key of thirty-two random bytes", keep_characteristics=True)
NAME = "Qvortrupova"
PLACES = {place: (plant, outcome) for place, plant, outcome in (*dicom_places(), *raster_places())}


@pytest.mark.parametrize("place", [place for place in PLACES if not place.startswith("archive")])
def test_a_planted_name_is_not_in_the_result(place: str, tmp_path: Path) -> None:
    plant, expected = PLACES[place]
    for way in range(3):
        assert outcome_of(plant, way, place, tmp_path / "x") == expected


def outcome_of(plant: Plant, way: int, place: str, path: Path) -> str:
    data = plant(written_as(NAME, way))
    assert "deflated" in place or where_found({place: data}, NAME)
    path.write_bytes(data)
    outcome, kept = "stored", b""
    try:
        clean = deidentify_file(path, OPTIONS)
        path.write_bytes(clean)
        image = read_image(path)
        refuse_identity(image, OPTIONS)
        kept = clean + repr(image.as_json()).encode()
    except Refused as refused:
        outcome, kept = refused.reason.value, refused.detail.encode()
    assert where_found({"kept": kept}, NAME) == []
    return outcome
