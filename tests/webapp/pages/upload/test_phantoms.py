from __future__ import annotations

from zipfile import ZipFile

import pytest

from tests import factories
from webapp.core.storage import phantom_collection
from webapp.scans.models import Upload
from webapp.scans.patients.corrections import scan_move

pytestmark = pytest.mark.django_db

MANIFEST = """image,patient,study_date
PH-1/a.png,PH-1,2026-03-01
PH-1/b.dcm,PH-1,2026-03-09
PH-2/c.png,PH-2,2026-04-01
"""


@pytest.fixture
def collection():
    path = phantom_collection()
    path.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(path, "w") as archive:
        archive.writestr("manifest.csv", MANIFEST)
        for name in ("PH-1/a.png", "PH-1/b.dcm", "PH-2/c.png"):
            archive.writestr(name, f"bytes of {name}")
    yield path
    path.unlink()


def test_simulated_patients_are_uploaded_like_any_files(collection, browser, owner, site):
    client = browser(owner)
    assert b"3 images of 2 simulated patients" in client.get("/phantoms/").content
    client.post("/phantoms/load/", follow=True)
    uploads = Upload.objects.order_by("filename")
    assert [u.filename for u in uploads] == ["a.png", "b.dcm", "c.png"]
    assert [u.stated_patient_id for u in uploads] == ["PH-1", "PH-1", "PH-2"]
    assert str(uploads[2].stated_date) == "2026-04-01"
    assert {u.site for u in uploads} == {site}


def test_loading_them_twice_makes_them_once(collection, browser, owner):
    client = browser(owner)
    for _ in range(2):
        client.post("/phantoms/load/")
    assert Upload.objects.count() == 3


def test_one_that_was_moved_stays_and_the_others_are_loaded(collection, browser, owner, site):
    client = browser(owner)
    client.post("/phantoms/load/")
    moved = Upload.objects.get(filename="a.png")
    Upload.objects.exclude(pk=moved.pk).delete()
    Upload.objects.filter(pk=moved.pk).update(status=Upload.Status.DONE)
    scan = factories.ScanFactory(site=site, upload=moved, patient__patient_id="PH-1")
    other = factories.PatientFactory(site=site, patient_id="P-9")
    scan_move(scan=scan, patient=other, actor=owner, reason="swapped")
    page = client.post("/phantoms/load/", follow=True).content
    assert b"2 simulated images uploaded" in page
    assert Upload.objects.count() == 3


def test_they_can_be_taken_home_as_a_zip(collection, browser, owner):
    response = browser(owner).get("/phantoms/collection.zip")
    assert b"".join(response.streaming_content) == collection.read_bytes()
    assert 'filename="hilum-phantoms.zip"' in response["Content-Disposition"]


def test_before_they_are_rendered_the_page_states_so(browser, owner):
    client = browser(owner)
    assert b"The images are being rendered" in client.get("/phantoms/").content
    assert b"still being rendered" in client.post("/phantoms/load/", follow=True).content
    assert client.get("/phantoms/collection.zip").status_code == 404
