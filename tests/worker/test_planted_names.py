"""A name in each place that a header, a container or a codec allows: a de-identifying site keeps none."""

from __future__ import annotations

import re
from pathlib import Path

import pydicom
import pytest

from tests.classifier.images.deidentify.planted_dicom import dicom_places
from tests.classifier.images.deidentify.planted_raster import raster_places
from tests.classifier.images.deidentify.search import forms, where_found, written_as
from tests.worker.test_deidentify_on_ingest import (  # noqa: F401
    everything_kept,
    helper,
    ingest,
    site,
)
from webapp.core import storage
from webapp.scans.models import Upload

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "Qvortrupov"
PLACES = [*dicom_places(), *raster_places()]
LETTERS = "abcdefghij"


def name_of(number: int) -> str:
    """A name for each place, so that a name that is found shows where it was planted."""
    return NAME + "".join(LETTERS[int(digit)] for digit in f"{number:03}")


def test_the_search_finds_each_form() -> None:
    for form in forms(NAME):
        assert where_found({"x": b"..." + form + b"..."}, NAME)
        assert where_found({"x": repr(form.decode("latin-1")).encode()}, NAME)
    assert not where_found({"x": b"nothing"}, NAME)
    assert len(PLACES) >= 60
    assert len({place for place, _, _ in PLACES}) == len(PLACES)


def test_no_place_keeps_a_name(ingest, site, caplog) -> None:  # noqa: F811
    outcomes, expected = {}, {}
    files = [plant(written_as(name_of(number), number % 3)) for number, (_, plant, _) in enumerate(PLACES)]
    caplog.clear()  # libraries that write the files log what they write
    for number, (place, _, outcome) in enumerate(PLACES):
        upload, _ = ingest(files[number], filename=f"{name_of(number)}.dcm")
        outcomes[place] = (
            "stored" if upload.status == Upload.Status.DONE else upload.refusal or upload.error_code
        )
        expected[place] = outcome
    assert outcomes == expected
    assert where_found(everything_kept() | {"log": caplog.text.encode()}, NAME) == []
    kept = [storage.path_of(upload.stored_name) for upload in Upload.objects.filter(scans__isnull=False)]
    assert len(kept) >= 60
    assert all(path.exists() for path in kept)


@pytest.mark.shared_data
def test_the_identity_of_real_files_is_not_kept(ingest, site, caplog, shared_data: Path) -> None:  # noqa: F811
    words: set[str] = set()
    before = everything_kept()  # some names, such as Patient, are words of Hilum
    files = sorted((shared_data / "dicom").glob("*.dcm"))
    assert len(files) >= 10
    for path in files:
        header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        texts = (str(header.get(keyword) or "") for keyword in ("PatientName", "PatientID"))
        words |= {word for text in texts for word in re.split(r"[\^=\s,]+", text) if len(word) > 4}
        upload, _ = ingest(path.read_bytes(), filename=path.name)
        assert upload.status == Upload.Status.DONE or upload.refusal == "unsupported_modality", path.name
    words = {word for word in words if not where_found(before, word)}
    assert len(words) >= 5
    kept = everything_kept() | {"log": caplog.text.encode()}
    assert [found for word in words for found in where_found(kept, word)] == []
