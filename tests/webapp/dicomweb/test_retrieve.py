"""WADO-RS beyond what dicomweb-client asks for: media types, rendered images, errors."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless

from tests.webapp.dicom.objects import radiograph
from webapp.core import storage

pytestmark = pytest.mark.django_db


def address(scan, rest="") -> str:
    study, series = scan.study.study_instance_uid, scan.series.series_instance_uid
    return f"/dicomweb/studies/{study}/series/{series}/instances/{scan.sop_instance_uid}{rest}"


def body(response) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def test_one_instance_may_come_as_a_single_part(client, stored):
    scan = stored()
    response = client.get(address(scan), HTTP_ACCEPT="application/dicom")
    assert response["Content-Type"] == "application/dicom"
    assert body(response) == storage.path_of(scan.upload.stored_name).read_bytes()


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ('multipart/related; type="application/dicom"', 200),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', 200),
        (f'multipart/related; type="application/dicom"; transfer-syntax={JPEG2000Lossless}', 200),
        ('multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1', 406),
        ("text/html", 406),
    ],
)
def test_an_instance_comes_in_its_own_transfer_syntax_or_not_at_all(client, stored, accept, status):
    scan = stored(radiograph(JPEG2000Lossless))
    assert client.get(address(scan), HTTP_ACCEPT=accept).status_code == status


def test_an_image_is_rendered_as_jpeg_or_png_and_fitted(client, stored):
    scan = stored()
    for accept, kind in (("image/jpeg", "JPEG"), ("image/png", "PNG"), ("*/*", "JPEG")):
        response = client.get(address(scan, "/rendered"), HTTP_ACCEPT=accept)
        with Image.open(io.BytesIO(response.content)) as image:
            assert (image.format, image.size) == (kind, (scan.columns, scan.rows))
    response = client.get(address(scan, "/frames/1/rendered"), {"viewport": "40,40"})
    with Image.open(io.BytesIO(response.content)) as image:
        assert max(image.size) == 40
    assert client.get(address(scan, "/thumbnail")).status_code == 200
    assert client.get(address(scan, "/frames/2/rendered")).status_code == 404


def test_a_window_is_in_the_units_of_the_modality(client, stored):
    scan = stored()  # value = level * 2 - 100
    response = client.get(address(scan, "/rendered"), {"window": "900,201,linear", "accept": "image/png"})
    with Image.open(io.BytesIO(response.content)) as image:
        shown = np.asarray(image).ravel()
    assert shown[:450].max() == 0
    assert shown[551:].min() == 255
    assert abs(int(shown[500]) - 128) <= 1


def test_a_window_is_refused_where_a_curve_of_the_file_was_applied(client, stored):
    scan = stored()
    scan.notes = {"curve_applied": {}}
    scan.save()
    response = client.get(address(scan, "/rendered"), {"window": "900,201,linear", "accept": "image/png"})
    assert response.status_code == 400
    assert "Leave the window out" in response.content.decode()
    assert client.get(address(scan, "/rendered"), {"accept": "image/png"}).status_code == 200


@pytest.mark.parametrize(
    "query", [{"window": "1,0"}, {"window": "a,b"}, {"viewport": "0,9"}, {"quality": "101"}]
)
def test_parameters_that_are_none_are_named(client, stored, query):
    response = client.get(address(stored(), "/rendered"), query)
    assert (response.status_code, list(response.json()["errors"])) == (400, list(query))


@pytest.mark.parametrize(
    "rest",
    ["/frames/2", "/frames/0", "/frames/x", "/bulkdata/00109999", "/bulkdata/zzzz", "/bulkdata/a/1", "x"],
)
def test_what_is_not_there_is_not_found(client, stored, rest):
    assert client.get(address(stored(), rest)).status_code == 404


def test_a_value_in_a_sequence_is_found_by_its_place(client, stored):
    from pydicom import Dataset

    item = Dataset()
    item.EncapsulatedDocument = bytes(range(256)) * 8
    scan = stored(RequestAttributesSequence=[item])
    [metadata] = client.get(address(scan, "/metadata")).json()
    url = metadata["00400275"]["Value"][0]["00420011"]["BulkDataURI"]
    assert url.endswith("/bulkdata/00400275/1/00420011")
    response = client.get(url, HTTP_ACCEPT="application/octet-stream")
    assert response.content == item.EncapsulatedDocument


def test_a_missing_file_is_stated(client, stored):
    scan = stored()
    storage.path_of(scan.upload.stored_name).unlink()
    assert client.get(address(scan), HTTP_ACCEPT="application/dicom").status_code == 503
    assert client.get(address(scan, "/metadata")).status_code == 503


def test_capabilities_name_every_address(client):
    response = client.options("/dicomweb/")
    assert response["Content-Type"] == "application/vnd.sun.wadl+xml"
    assert b"studies/{study}/series/{series}/instances/{instance}/frames" in response.content
    listed = {
        one["path"]: one["methods"]
        for one in client.get("/dicomweb/?accept=application/json").json()["resources"]
    }
    assert listed["studies"] == ["GET", "POST"]
    assert listed["series"] == ["GET"]
