"""Archives over the API: uploaded like an image, reported of member by member."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from classifier.images.archive.listing import ENCRYPTED
from tests.classifier.images.archives import image, zipped
from tests.factories import AnalysisFactory, ModelVersionFactory, ScanFactory, UploadFactory
from webapp.scans.models import ArchiveMember, Upload
from webapp.scans.uploads.files import incoming_folder

URL = "/api/v1/scans/"
SKIPPED = [{"reason": "dicomdir", "count": 1, "names": ["DICOMDIR"]}]


def file(content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("some.zip", content, content_type="application/zip")


@pytest.fixture
def archive(site, owner):
    return UploadFactory(site=site, user=owner, status="done", skipped=SKIPPED, filename="some.zip")


@pytest.fixture
def member(archive):
    """Adds an image to the archive; without an upload, one that is filed to another patient."""

    def member(name: str, upload: Upload | None) -> Upload | None:
        position = archive.members.count()
        ArchiveMember.objects.create(archive=archive, position=position, name=name, upload=upload)
        return upload

    return member


@pytest.fixture
def analysed(site):
    version = ModelVersionFactory()

    def analysed(**analysis) -> Upload:
        scan = ScanFactory(site=site)
        return AnalysisFactory(scan=scan, model_version=version, **analysis).scan.upload

    return analysed


def test_an_archive_is_uploaded_like_an_image(client):
    response = client.post(URL, {"file": file(zipped({"a.png": image()})), "patient_id": "P-7"})
    assert response.status_code == 201
    reported = client.get(response["Location"]).json()
    assert (reported["status"], reported["members"], reported["skipped"]) == ("received", [], [])


def test_an_archive_reports_of_each_member_and_of_what_was_skipped(client, archive, member, analysed, site):
    done = member("a/1.png", analysed(status="done", finding="pneumonia", probabilities={"pneumonia": 0.9}))
    member("a/2.png", UploadFactory(site=site, status="refused", refusal="too_small"))
    member("theirs.png", None)
    reported = client.get(f"{URL}{archive.pk}/").json()
    assert (reported["id"], reported["status"], reported["members_total"]) == (str(archive.pk), "done", 3)
    assert reported["skipped"] == SKIPPED
    one, two, three = reported["members"]
    assert one == {
        "id": str(done.pk),
        "file": "a/1.png",
        "status": "done",
        "reason": None,
        "finding": "pneumonia",
    }
    assert (two["status"], two["reason"]) == ("refused", "too_small")
    assert (three["id"], three["status"], three["reason"]) == (None, "refused", "patient_conflict")
    assert client.get(f"{URL}{one['id']}/").json()["status"] == "done"


@pytest.mark.parametrize("state", ["received", "parsing", "queued", "running"])
def test_an_archive_is_done_when_each_of_its_members_is(client, archive, member, analysed, site, state):
    member("1.png", analysed(status="done", probabilities={"normal": 0.9}))
    held = {"attempt_token": archive.pk, "lease_expires_at": "2030-01-01T00:00Z"}
    held = held if state in ("parsing", "running") else {}
    if state in ("received", "parsing"):
        last = member("2.png", UploadFactory(site=site, status=state, **held))
    else:
        last = member("2.png", analysed(status=state, **held))
    reported = client.get(f"{URL}{archive.pk}/").json()
    assert reported["status"] == "analysing"
    assert reported["members"][1]["id"] == str(last.pk)


@pytest.mark.usefixtures("later_in_the_visit")
def test_a_long_archive_is_reported_in_pages_of_a_fixed_number_of_queries(
    client, archive, member, analysed, monkeypatch, django_assert_max_num_queries
):
    monkeypatch.setattr("webapp.api.serializers.scan_record.MEMBERS_AT_ONCE", 4)
    for n in range(6):
        member(f"{n}.png", analysed(status="done", probabilities={"normal": 0.9}))
    with django_assert_max_num_queries(11):
        reported = client.get(f"{URL}{archive.pk}/").json()
    rest = client.get(f"{URL}{archive.pk}/", {"members_from": "4"}).json()
    assert [m["file"] for m in reported["members"] + rest["members"]] == [f"{n}.png" for n in range(6)]
    assert (reported["members_total"], rest["members_total"]) == (6, 6)
    assert client.get(f"{URL}{archive.pk}/", {"members_from": "-1"}).json()["code"] == "invalid"


def test_owner_and_teammate_see_an_archive_and_an_outsider_does_not(
    client, client_of, archive, teammate, outsider, site, other_site
):
    where = f"{URL}{archive.pk}/"
    assert client.get(where).status_code == 200
    assert client_of(teammate, site).get(where).status_code == 200
    assert client_of(outsider, other_site).get(where).status_code == 404


def test_who_may_upload_but_not_read_is_reported_of_no_member(
    client, client_of, teammate, site, member, archive
):
    data = zipped({"a.png": image()})
    key = client.post(URL, {"file": file(data)}).json()["id"]
    Upload.objects.filter(pk=key).update(status="done", skipped=SKIPPED)
    ArchiveMember.objects.create(archive_id=key, position=0, name="DOE.png", upload=None)
    reply = client_of(teammate, site, ("scan.upload",)).post(URL, {"file": file(data)})
    assert (reply.status_code, reply.json()["id"]) == (200, key)
    assert "DOE" not in reply.content.decode()
    assert client.post(URL, {"file": file(data)}).json()["members"][0]["file"] == "DOE.png"


def test_an_archive_that_is_refused_states_why_and_what_to_do(client, site):
    upload = UploadFactory(site=site, status="refused", refusal="undecodable", refusal_detail=ENCRYPTED)
    reported = client.get(f"{URL}{upload.pk}/").json()
    assert (reported["status"], reported["reason"]) == ("refused", "undecodable")
    assert "encrypted" in reported["detail"]
    assert "password" in reported["remedy"]


@pytest.fixture
def small(monkeypatch, settings):
    """Images up to 1,000 bytes, archives up to 3,000."""
    settings.HILUM_MAX_ARCHIVE_BYTES = 3000
    monkeypatch.setattr("webapp.scans.uploads.files.most_bytes.__kwdefaults__", {"max_bytes": 1000})
    monkeypatch.setattr("webapp.api.request_bodies.MULTIPART_ALLOWANCE", 1000)
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (image(0, 1000), 201),
        (image(0, 1001), 413),
        (zipped({"a.png": image(0, 2000)}, method=0), 201),
        (zipped({"a.png": image(0, 2990)}, method=0), 413),
    ],
    ids=["image", "large image", "archive", "large archive"],
)
def test_an_archive_may_be_larger_than_a_single_image(client, small, content, status):
    before = list(incoming_folder().iterdir())
    assert client.post(URL, {"file": file(content)}).status_code == status
    assert list(incoming_folder().iterdir()) == before
