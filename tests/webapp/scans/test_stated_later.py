"""A file sent without a patient and then with one: the provisional patient gives way to the stated one."""

from __future__ import annotations

import pytest

from tests.factories import parsed
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.scans.models import Patient, Scan, Upload
from webapp.scans.services import upload_finish, upload_store
from webapp.scans.uploads.archives import archive_finish, member_store
from webapp.scans.uploads.stated_metadata import StatedMetadata

pytestmark = pytest.mark.django_db
STATED = StatedMetadata(patient_id="P-33", study="A-7")


@pytest.fixture
def send(owner, site):
    def send(data: bytes, stated: StatedMetadata | None = None) -> Upload:
        return upload_store(user=owner, site=site, chunks=[data], stated=stated)[0]

    return send


@pytest.fixture
def parse(tmp_path):
    """Parses the next upload, as the worker does."""

    def parse(**metadata) -> Scan:
        [upload] = Upload.objects.claim()
        return upload_finish(upload=upload, results=[parsed(upload, upload.attempt_token, **metadata)])[0]

    return parse


def test_the_scan_is_filed_to_the_stated_patient_and_the_placeholder_goes(send, parse):
    upload = send(b"image")
    scan = parse()
    assert scan.patient.provisional
    again = send(b"image", STATED)
    scan = Scan.objects.get()
    assert again.pk == upload.pk
    assert (scan.patient.patient_id, scan.patient.provisional) == ("P-33", False)
    assert scan.study.accession_number == "A-7"
    assert not Patient.objects.filter(provisional=True).exists()
    assert AuditEvent.objects.filter(action="scan.patient_stated").count() == 1
    with pytest.raises(CodedError, match="patient_conflict"):
        send(b"image", StatedMetadata(patient_id="P-44"))


def test_a_patient_that_the_file_names_does_not_give_way(send, parse):
    send(b"image")
    parse(PatientID="P-1")
    with pytest.raises(CodedError, match="patient_conflict"):
        send(b"image", STATED)


def test_the_images_of_an_archive_give_way_together(send, parse, tmp_path):
    archive = send(b"PK archive")
    [archive] = Upload.objects.claim()
    members = []
    for number in (1, 2):
        path = tmp_path / str(number)
        path.write_bytes(b"image %d" % number)
        members.append((path.name, member_store(archive=archive, path=path, name=path.name)))
    assert archive_finish(archive=archive, members=members, skipped=[])
    first, second = parse(), parse(PatientID="P-1")
    send(b"PK archive", STATED)
    assert Scan.objects.get(pk=first.pk).patient.patient_id == "P-33"
    assert Scan.objects.get(pk=second.pk).patient.patient_id == "P-1"
    assert not Patient.objects.filter(provisional=True).exists()


def test_an_archive_states_the_patient_of_an_image_that_had_none(send, parse, owner, site, tmp_path):
    send(b"image")
    scan = parse()
    send(b"PK archive", STATED)
    [archive] = Upload.objects.claim()
    path = tmp_path / "member"
    path.write_bytes(b"image")
    assert member_store(archive=archive, path=path, name="member").pk == scan.upload_id
    assert Scan.objects.get().patient.patient_id == "P-33"
