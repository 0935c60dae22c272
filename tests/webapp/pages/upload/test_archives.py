"""Archives on the upload page: what the row states, which images get rows, what a size is judged by."""

from __future__ import annotations

import io

import pytest

from classifier.images.archive.listing import ENCRYPTED
from classifier.images.limits import MAX_FILE_BYTES
from tests import factories
from tests.classifier.images.archives import image, zipped
from webapp.scans.models import ArchiveMember, Upload

pytestmark = pytest.mark.django_db
SKIPPED = [
    {"reason": "dicomdir", "count": 1, "names": ["DICOMDIR"]},
    {"reason": "not_an_image", "count": 7, "names": ["a.txt", "b.txt", "c.txt", "d.txt", "<b>e</b>.txt"]},
]


@pytest.fixture
def archive(site, owner):
    """An archive that was unpacked, with as many images as are asked for."""

    def archive(*uploads: Upload | None, skipped=()) -> Upload:
        made = factories.UploadFactory(
            site=site, user=owner, status="done", skipped=list(skipped), filename="x.zip"
        )
        ArchiveMember.objects.bulk_create(
            ArchiveMember(archive=made, position=n, name=f"in/{n}.png", upload=upload)
            for n, upload in enumerate(uploads)
        )
        return made

    return archive


@pytest.fixture
def reported(browser, owner):
    def reported(upload: Upload, user=None) -> dict:
        asked = {"ids": [str(upload.pk)]}
        response = browser(user or owner).post("/upload/states/", asked, content_type="application/json")
        return response.json()["uploads"].get(str(upload.pk), {})

    return reported


def test_an_archives_row_states_what_is_in_it_and_what_was_skipped(archive, reported, case, site):
    refused = factories.UploadFactory(site=site, status="refused", refusal="too_small")
    failed = factories.UploadFactory(site=site, status="failed", error_code="gave_up")
    made = archive(case.upload, refused, failed, None, skipped=SKIPPED)
    row = reported(made)
    assert row["text"] == (
        "Archive: 4 images, 1 refused, 1 failed, 1 already uploaded for another patient; "
        "8 skipped (1 DICOMDIR, 7 not an image)"
    )
    assert row["remedy"] == "Skipped: DICOMDIR, a.txt, b.txt, c.txt, d.txt, <b>e</b>.txt …"
    assert row["finished"]
    assert row["members"] == [
        {"id": str(upload.pk), "name": f"in/{n}.png"}
        for n, upload in enumerate([case.upload, refused, failed])
    ]


def test_an_archive_is_under_way_until_each_of_its_images_is_finished(archive, reported, site):
    scan = factories.ScanFactory(site=site)
    analysis = factories.AnalysisFactory(scan=scan)
    waiting = factories.UploadFactory(site=site)
    made = archive(scan.upload, waiting)
    assert (reported(made)["text"], reported(made)["finished"]) == ("Archive: 2 images, 2 in progress", False)
    Upload.objects.filter(pk=waiting.pk).update(status="refused", refusal="too_small")
    type(analysis).objects.filter(pk=analysis.pk).update(status="failed", error_code="internal")
    assert (reported(made)["text"], reported(made)["finished"]) == ("Archive: 2 images, 1 refused", True)


def test_an_archive_that_is_refused_states_what_to_do(reported, site, owner):
    refused = factories.UploadFactory(
        site=site, user=owner, status="refused", refusal="undecodable", refusal_detail=ENCRYPTED
    )
    row = reported(refused)
    assert (row["code"], row["text"]) == ("undecodable", "Refused: the archive is encrypted.")
    assert "password" in row["remedy"]


def test_images_that_came_in_an_archive_stand_below_it_only(archive, browser, owner, site):
    scan = factories.ScanFactory(site=site, upload__user=owner, upload__filename="in-it.png")
    made = archive(scan.upload)
    Upload.objects.filter(pk=scan.upload.pk).update(parent=made)
    recent = browser(owner).get("/upload/").context["recent"]
    assert [row["id"] for row in recent] == [str(made.pk)]
    assert [member["id"] for member in recent[0]["members"]] == [str(scan.upload.pk)]


def test_teammates_see_an_archives_state_and_outsiders_do_not(archive, reported, case, teammate, outsider):
    made = archive(case.upload)
    assert reported(made, teammate)["members"]
    assert reported(made, outsider) == {}


def test_an_archives_own_address_states_the_result_of_it(archive, case, browser, owner, outsider):
    made = archive(case.upload)
    page = browser(owner).get(f"/scans/{made.pk}/")
    assert "each image is a separate scan" in page.content.decode()
    assert browser(outsider).get(f"/scans/{made.pk}/").status_code == 404


@pytest.mark.usefixtures("later_in_the_visit")
def test_archives_cost_the_same_for_one_and_for_ten(
    archive, case, browser, owner, django_assert_max_num_queries, django_assert_num_queries
):
    made = [archive(case.upload, None, skipped=SKIPPED) for _ in range(10)]
    client = browser(owner)

    def ask(uploads):
        ids = [str(upload.pk) for upload in uploads]
        return client.post("/upload/states/", {"ids": ids}, content_type="application/json").json()

    with django_assert_max_num_queries(7) as one:
        ask(made[:1])
    with django_assert_num_queries(len(one)):
        assert len(ask(made)["uploads"]) == 10


@pytest.mark.parametrize(
    ("begins", "code"),
    [(image(0, 1000), "too_large"), (zipped({"a.png": image()}), "incomplete")],
    ids=["image", "archive"],
)
def test_only_an_archive_may_be_as_large_as_one(begins, code, browser, owner):
    environment = {"wsgi.input": io.BytesIO(begins), "CONTENT_LENGTH": str(MAX_FILE_BYTES + 1)}
    response = browser(owner).generic(
        "POST", "/upload/file/", CONTENT_TYPE="application/octet-stream", **environment
    )
    assert response.json()["code"] == code
    assert not Upload.objects.exists()
