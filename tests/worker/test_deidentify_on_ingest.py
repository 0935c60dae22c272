"""A site that keeps no identity: nothing that identifies is found in a row, a file or a log after ingest."""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from django.apps import apps
from django.conf import settings
from PIL import Image

from classifier.images.sandbox.client import ParsingHelper
from tests.classifier.images.deidentify.test_dicom import as_bytes
from tests.classifier.images.samples import chest, dataset
from tests.factories import SiteFactory, UserFactory
from webapp.analysis.stored_files.check import check
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import Patient, Scan, Upload
from webapp.scans.patients.pseudonymity import known_as
from webapp.scans.services import upload_store
from webapp.scans.uploads.stated_metadata import StatedMetadata
from worker.jobs.ingest import IngestJob

pytestmark = pytest.mark.django_db(transaction=True)

SECRETS = ("SECRET-4711", "Secretova", "ACC-SECRET", "Secret Hospital", "Dr Secret", "19610203", "1.2.3.99")
HEADER = {
    "PatientID": "SECRET-4711",
    "PatientName": "Secretova^Anna",
    "PatientBirthDate": "19610203",
    "PatientSex": "F",
    "StudyDate": "20260305",
    "AccessionNumber": "ACC-SECRET",
    "InstitutionName": "Secret Hospital",
    "ReferringPhysicianName": "Dr Secret",
    "StudyDescription": "Secretova thorax",
    "StudyInstanceUID": "1.2.3.99.1",
    "SeriesInstanceUID": "1.2.3.99.2",
    "SOPInstanceUID": "1.2.3.99.3",
    "InstanceNumber": "1",
}
CLAIM = StatedMetadata(patient_id="SECRET-4711", study="ACC-SECRET", date=date(2026, 3, 5))


@pytest.fixture(scope="module")
def helper() -> Iterator[ParsingHelper]:
    with ParsingHelper() as helper:
        yield helper


@pytest.fixture
def site(settings, tmp_path):
    settings.HILUM_DATA = tmp_path
    return SiteFactory(deidentify_on_ingest=True)


@pytest.fixture
def ingest(site, helper, caplog):
    """Hands bytes in to the site and reads all that waits; returns the upload and whether it was new."""
    caplog.set_level(logging.DEBUG)
    user = UserFactory()

    def make(data: bytes, **text) -> tuple[Upload, bool]:
        upload, created = upload_store(user=user, site=site, chunks=[data], **text)
        job = IngestJob()
        job._helper = helper
        while job.step():
            pass
        upload.refresh_from_db()
        return upload, created

    return make


def radiograph(**changes: object) -> bytes:
    return as_bytes(dataset(chest(), bits=12, **(HEADER | changes)))


def everything_kept() -> dict[str, bytes]:
    """Every row of every table, and every file under the data folder but the test's own database."""
    rows = {
        str(model._meta): repr(list(model._base_manager.values())).encode() for model in apps.get_models()
    }
    files = {
        str(path): str(path).encode() + path.read_bytes()
        for path in Path(settings.HILUM_DATA).rglob("*")
        if path.is_file() and "sqlite3" not in path.name
    }
    return rows | files


def where_identity_is(caplog: pytest.LogCaptureFixture) -> list[str]:
    kept = everything_kept() | {"logs": caplog.text.encode()}
    return [
        f"{secret} in {name}" for name, data in kept.items() for secret in SECRETS if secret.encode() in data
    ]


def test_a_radiograph_leaves_nothing_that_identifies(ingest, site, caplog) -> None:
    upload, _ = ingest(radiograph(), filename="Secretova.dcm", stated=CLAIM)
    assert upload.status == Upload.Status.DONE
    assert where_identity_is(caplog) == []
    scan, patient = Scan.objects.get(), Patient.objects.get()
    assert patient.patient_id == patient.name == known_as(site, "SECRET-4711")
    assert patient.birth_date is None
    assert scan.notes == {}, "stated and header agree"
    assert scan.metadata["PatientAge"] == "065Y"
    assert scan.study.study_date == upload.stated_date != date(2026, 3, 5)


def test_the_secrets_would_be_found_at_a_site_that_keeps_identity(ingest, site, caplog) -> None:
    site.deidentify_on_ingest = False
    site.save()
    ingest(radiograph(), filename="Secretova.dcm", stated=CLAIM)
    found = where_identity_is(caplog)
    assert {line.split(" in ")[0] for line in found} == set(SECRETS)
    assert any("original" in line for line in found)


def test_the_original_is_replaced_by_one_that_dicom_readers_read(ingest) -> None:
    upload, _ = ingest(radiograph())
    kept = pydicom.dcmread(storage.path_of(upload.stored_name))
    assert kept.PatientIdentityRemoved == "YES"
    assert kept.PixelData == dataset(chest(), bits=12).PixelData
    found = check(deep=True, grace_seconds=0)
    assert (found.missing, found.damaged) == ([], [])


def test_the_same_bytes_are_known_again_and_do_not_come_back(ingest, caplog) -> None:
    first, _ = ingest(radiograph(), stated=CLAIM)
    again, created = ingest(radiograph(), filename="Secretova.dcm", stated=CLAIM)
    assert (again.pk, created) == (first.pk, False)
    storage.delete_file(first.stored_name)
    ingest(radiograph(), stated=CLAIM)
    assert where_identity_is(caplog) == []
    with pytest.raises(CodedError, match="patient_conflict"):
        ingest(radiograph(), stated=StatedMetadata(patient_id="SOMEBODY"))


def test_two_files_of_a_patient_stay_together(ingest) -> None:
    ingest(radiograph())
    ingest(radiograph(InstanceNumber="2", SOPInstanceUID="1.2.3.99.4", StudyDate="20260307"))
    ingest(png(), stated=CLAIM)
    assert Patient.objects.count() == 1
    assert Scan.objects.count() == 3


def test_an_image_without_header_is_filed_to_the_claimed_pseudonym(ingest, site, caplog) -> None:
    upload, _ = ingest(png(), filename="Secretova.png", stated=CLAIM)
    assert upload.status == Upload.Status.DONE
    assert Patient.objects.get().patient_id == known_as(site, "SECRET-4711")
    assert where_identity_is(caplog) == []


def test_the_names_in_an_archive_are_not_kept(ingest, caplog) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("Secretova/a.dcm", radiograph())
        archive.writestr("Secretova/letter.docx", b"no image")
    upload, _ = ingest(buffer.getvalue(), filename="Secretova.zip", stated=CLAIM)
    assert upload.status == Upload.Status.DONE
    assert Scan.objects.count() == 1
    assert where_identity_is(caplog) == []


def test_what_is_refused_leaves_nothing_either(ingest, caplog) -> None:
    upload, _ = ingest(b"Secretova is no image", filename="Secretova.dcm", stated=CLAIM)
    assert upload.status == Upload.Status.REFUSED
    assert where_identity_is(caplog) == []


def test_what_came_before_the_site_changed_its_mind_is_cleaned_as_it_is_read(site, ingest, caplog) -> None:
    site.deidentify_on_ingest = False
    site.save()
    upload_store(user=UserFactory(), site=site, chunks=[radiograph()], filename="Secretova.dcm", stated=CLAIM)
    site.deidentify_on_ingest = True
    site.save()
    ingest(png())
    assert where_identity_is(caplog) == []
    assert Upload.objects.get(filename="", stated_patient_id=known_as(site, "SECRET-4711"))


def test_without_a_key_nothing_is_imported(ingest, settings, caplog) -> None:
    settings.DEIDENTIFY_KEY = ""
    with pytest.raises(CodedError, match="unavailable"):
        ingest(radiograph(), filename="Secretova.dcm", stated=CLAIM)
    assert not Upload.objects.exists()
    assert where_identity_is(caplog) == []


def test_another_site_gives_another_pseudonym(site) -> None:
    assert known_as(SiteFactory(deidentify_on_ingest=True), "4711") != known_as(site, "4711") != "4711"
    assert known_as(site, known_as(site, "4711")) == known_as(site, "4711")


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray((chest() >> 4).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
