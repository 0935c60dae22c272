"""STOW-RS: bodies as they come from real and from broken senders."""

from __future__ import annotations

import io
import shutil
from types import SimpleNamespace

import pytest

from tests.classifier.images.samples import write
from tests.webapp.dicom.objects import radiograph
from webapp.dicom.multipart import Reader
from webapp.scans.models import Upload
from webapp.scans.uploads.files import incoming_folder

pytestmark = pytest.mark.django_db

KIND = 'multipart/related; type="application/dicom"; boundary=XX'


def file_of(image) -> bytes:
    file = io.BytesIO()
    write(file, image)
    return file.getvalue()


def body(*files: bytes, kind="application/dicom", end=b"--XX--") -> bytes:
    head = f"--XX\r\nContent-Type: {kind}\r\n\r\n".encode()
    return b"".join(head + file + b"\r\n" for file in files) + end


def post(client, data: bytes, study: str = "", content_type=KIND):
    address = f"/dicomweb/studies/{study}" if study else "/dicomweb/studies"
    return client.post(address, data, content_type=content_type)


def test_some_stored_and_some_not_is_202_with_the_reason_of_each(client):
    good, mr = radiograph(), radiograph(SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR")
    response = post(client, body(file_of(good), file_of(mr), b"not DICOM at all"))
    assert response.status_code == 202
    report = response.json()
    assert report["00081199"]["Value"][0]["00081155"]["Value"] == [good.SOPInstanceUID]
    [failed] = report["00081198"]["Value"]
    assert failed["00081155"]["Value"] == [mr.SOPInstanceUID]
    assert failed["00081197"]["Value"] == [0x0122]
    assert report["0008119A"]["Value"][0]["00081197"]["Value"] == [0xC000]
    assert Upload.objects.count() == 1
    assert list(incoming_folder().iterdir()) == []


def test_none_stored_is_409(client):
    assert post(client, body(b"not DICOM at all")).status_code == 409


def test_the_response_names_the_study_and_where_it_will_be(client):
    image = radiograph()
    report = post(client, body(file_of(image)), image.StudyInstanceUID).json()
    assert report["00081190"]["Value"][0].endswith(f"/dicomweb/studies/{image.StudyInstanceUID}")


def test_an_interrupted_body_keeps_what_arrived_whole_and_nothing_else(client):
    first, second = file_of(radiograph()), file_of(radiograph())
    data = body(first, second)
    response = post(client, data[: len(first) + len(second) // 2])
    assert (response.status_code, response.json()["code"]) == (400, "incomplete")
    assert Upload.objects.count() == 1
    assert list(incoming_folder().iterdir()) == []


def test_below_the_disk_floor_nothing_is_read(client, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    response = post(client, body(file_of(radiograph())))
    assert (response.status_code, response.json()["code"]) == (503, "disk_full")
    assert int(response["Retry-After"]) > 0
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/dicom",
        "multipart/form-data; boundary=XX",
        "multipart/related; type=image/png; boundary=XX",
    ],
)
def test_another_media_type_is_refused(client, content_type):
    assert post(client, body(b"x"), content_type=content_type).status_code == 415


def test_a_body_in_chunks_is_read_to_its_end(client):
    """As gunicorn passes it on; Orthanc sends so."""
    environ = {
        "wsgi.input": io.BytesIO(body(file_of(radiograph()))),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
    }
    response = client.generic("POST", "/dicomweb/studies", b"", content_type=KIND, **environ)
    assert response.status_code == 200
    assert Upload.objects.count() == 1


def test_a_boundary_longer_than_the_rfc_allows_is_accepted(client):
    """Orthanc's has 73 characters."""
    long = "x" * 73
    data = body(file_of(radiograph())).replace(b"--XX", b"--" + long.encode())
    assert post(client, data, content_type=KIND.replace("XX", long)).status_code == 200


def test_a_body_without_parts_is_refused(client):
    assert post(client, b"--XX--").status_code == 400


def test_a_part_of_another_type_fails_alone(client):
    assert post(client, body(b"{}", kind="application/dicom+json")).status_code == 409


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 64, 1000])
def test_boundaries_are_found_wherever_the_body_is_cut(size):
    files = [b"", b"\r\n", b"--XX inside", b"a" * 100, b"\r\n--X", b"\r\n\r\n--XY\r\n", bytes(range(256))]
    stream = io.BytesIO(b"preamble\r\n" + body(*files) + b"\r\nepilogue")
    reader = Reader(lambda _: stream.read(size), "XX")
    assert [(one.content_type, b"".join(one.chunks)) for one in reader.parts()] == [
        ("application/dicom", file) for file in files
    ]
