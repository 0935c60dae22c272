from __future__ import annotations

import io
import json
from urllib.parse import quote

import pytest
from django.conf import settings
from django.test import Client, RequestFactory

from tests import factories
from webapp.accounts.models import Role
from webapp.core.errors import CodedError
from webapp.pages.request_data import body_chunks
from webapp.scans.models import Upload
from webapp.scans.patients.identity import patient_find_or_create
from webapp.scans.patients.pseudonymity import known_as
from webapp.scans.services import upload_finish

pytestmark = pytest.mark.django_db
RAW = "application/octet-stream"


def hand_in(client: Client, content: bytes, *, headers: dict | None = None, **claim: str):
    text = {"X-Hilum-Upload": quote(json.dumps(claim))} | (headers or {})
    return client.post("/upload/file/", content, content_type=RAW, headers=text)


def test_a_file_is_kept_with_what_was_claimed_of_it(browser, owner, site):
    response = hand_in(
        browser(owner), b"pixels", filename="Müller 1.png", patient_id="P-7", date="2026-11-02"
    )
    assert response.status_code == 201
    upload = Upload.objects.get(pk=response.json()["id"])
    assert (upload.site, upload.user, upload.size) == (site, owner, 6)
    assert upload.filename == "Müller 1.png"
    assert upload.stated_patient_id == "P-7"
    assert str(upload.stated_date) == "2026-11-02"
    assert response.json()["finished"] is False


def test_the_same_bytes_again_are_the_earlier_upload(browser, owner):
    client = browser(owner)
    first = hand_in(client, b"pixels")
    again = hand_in(client, b"pixels")
    assert again.status_code == 200
    assert again.json()["id"] == first.json()["id"]


def test_the_same_bytes_for_another_patient_are_a_conflict_with_a_remedy(case, browser, owner):
    client = browser(owner)
    assert hand_in(client, b"pixels", patient_id="P-1").status_code == 201
    conflict = hand_in(client, b"pixels", patient_id="P-2")
    assert conflict.status_code == 409
    assert conflict.json()["code"] == "patient_conflict"
    assert conflict.json()["remedy"]


def test_a_patient_stated_later_replaces_the_provisional_one(browser, owner):
    client = browser(owner)
    hand_in(client, b"pixels")
    [upload] = Upload.objects.claim()
    [scan] = upload_finish(upload=upload, results=[factories.parsed(upload, upload.attempt_token)])
    provisional = f"/patients/{scan.patient.pk}/"
    assert provisional in client.get(f"/scans/{scan.pk}/").content.decode()
    assert hand_in(client, b"pixels", patient_id="P-33").status_code == 200
    page = client.get(f"/scans/{scan.pk}/").content.decode()
    assert "P-33" in page
    assert provisional not in page
    assert client.get(provisional).status_code == 404


class NeverRead(io.RawIOBase):
    """A body that may not be touched."""

    def read(self, *_):
        raise AssertionError("the body was read before the request was judged")


@pytest.mark.parametrize(
    ("size", "code"),
    [(str(settings.HILUM_MAX_ARCHIVE_BYTES + 1), "too_large"), ("0", "empty_file"), ("", "length_required")],
)
def test_size_is_judged_before_the_body_is_read(size, code, browser, owner):
    environment = {"wsgi.input": NeverRead(), "CONTENT_TYPE": RAW, "CONTENT_LENGTH": size}
    response = browser(owner).generic("POST", "/upload/file/", **environment)
    assert response.json()["code"] == code


def test_permission_is_judged_before_the_body_is_read(browser, person, site):
    environment = {"wsgi.input": NeverRead(), "CONTENT_TYPE": RAW, "CONTENT_LENGTH": "10"}
    client = browser(person("audrey", role="auditor", site=site))
    response = client.generic("POST", "/upload/file/", **environment)
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert not Upload.objects.exists()


def test_a_raw_body_still_needs_the_csrf_token(owner):
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert hand_in(client, b"pixels").json()["code"] == "csrf"
    client.get("/upload/")
    token = client.cookies["hilum_csrf"].value
    assert hand_in(client, b"pixels", headers={"X-CSRFToken": token}).status_code == 201


def test_a_body_that_breaks_off_is_incomplete():
    request = RequestFactory().generic("POST", "/upload/file/", b"half", content_type=RAW)
    with pytest.raises(CodedError) as broken:
        list(body_chunks(request, size=8))
    assert broken.value.code == "incomplete"


@pytest.mark.parametrize("header", ["%7Bnot json", "[1]"])
def test_a_claim_that_cannot_be_read_is_refused(header, browser, owner):
    response = hand_in(browser(owner), b"pixels", headers={"X-Hilum-Upload": header})
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_the_states_of_many_uploads_come_at_once(case, browser, owner, site):
    refused = factories.UploadFactory(site=site, user=owner, status="refused", refusal="too_small")
    response = browser(owner).post(
        "/upload/states/", {"ids": [str(case.upload.pk), str(refused.pk)]}, content_type="application/json"
    )
    states = response.json()["uploads"]
    done = states[str(case.upload.pk)]
    assert done["ok"]
    assert done["text"] == "Pneumonia 0.82, above this model's threshold 0.55"
    assert done["href"] == f"/scans/{case.scan.pk}/"
    assert done["patient"]["label"] == "DOE, Jane"
    assert states[str(refused.pk)]["code"] == "too_small"
    assert "64 pixels" in states[str(refused.pk)]["remedy"]


def test_states_of_other_sites_are_left_out(case, browser, outsider):
    response = browser(outsider).post(
        "/upload/states/", {"ids": [str(case.upload.pk)]}, content_type="application/json"
    )
    assert response.json() == {"uploads": {}}


@pytest.mark.usefixtures("later_in_the_visit")
def test_states_cost_the_same_for_one_upload_and_for_ten(
    case, finished_analysis, browser, owner, site, django_assert_num_queries, django_assert_max_num_queries
):
    scans = [case.scan, *(factories.ScanFactory(site=site) for _ in range(9))]
    for scan in scans[1:]:
        finished_analysis(scan, normal=0.9)
    client = browser(owner)

    def ask(ids):
        return client.post("/upload/states/", {"ids": ids}, content_type="application/json")

    with django_assert_max_num_queries(11) as one:
        ask([str(scans[0].pk)])
    with django_assert_num_queries(len(one)):
        assert len(ask([str(scan.pk) for scan in scans]).json()["uploads"]) == 10


def test_a_failed_upload_can_be_tried_again(browser, owner, site):
    failed = factories.UploadFactory(site=site, user=owner, status="failed", error_code="gave_up")
    client = browser(owner)
    response = client.post(f"/upload/{failed.pk}/retry/")
    assert response.json()["status"] == "received"
    assert (
        client.post(f"/upload/{failed.pk}/retry/", headers={"accept": "application/json"}).status_code == 409
    )


def test_the_page_brings_back_what_was_uploaded_within_a_day(case, browser, owner, teammate):
    assert case.upload.filename.encode() in browser(owner).get("/upload/").content
    assert case.upload.filename.encode() not in browser(teammate).get("/upload/").content


def test_the_page_can_ask_who_a_file_would_join(case, browser, owner, outsider):
    asked = {"ids": ["P-42", "P-unknown"]}
    response = browser(owner).post("/upload/patients/", asked, content_type="application/json")
    assert response.json() == {"patients": {"P-42": {"label": "DOE, Jane", "facts": "P-42", "studies": 1}}}
    foreign = browser(outsider).post("/upload/patients/", asked, content_type="application/json")
    assert foreign.json() == {"patients": {}}


def test_who_a_file_joins_is_reported_as_it_will_be_filed(case, browser, owner, site):
    def reported(key: str) -> str:
        asked = {"ids": [key]}
        response = browser(owner).post("/upload/patients/", asked, content_type="application/json")
        return response.json()["patients"].get(key, {}).get("label", "new")

    for key, name, issuer in (
        ("A", "ONLY^One", "north"),
        ("B", "NORTH^N", "north"),
        ("B", "SOUTH^S", "south"),
        ("C", "NORTH^N", "north"),
        ("C", "NOBODYS^N", ""),
    ):
        factories.PatientFactory(site=site, patient_id=key, name=name, issuer=issuer)
    assert [reported(key) for key in "ABC"] == ["ONLY, One", "new", "NOBODYS, N"]
    filed = {key: patient_find_or_create(site=site, patient_id=key) for key in "ABC"}
    assert [filed[key].name for key in "ABC"] == ["ONLY^One", "", "NOBODYS^N"]


def test_who_may_only_upload_learns_neither_patient_nor_result(case, browser, person, site):
    Role.objects.create(name="hall", permissions=["scan.upload"])
    porter = person("porter", role="hall", site=site)
    asked = {"ids": [str(case.upload.pk)]}
    response = browser(porter).post("/upload/states/", asked, content_type="application/json")
    (reported,) = response.json()["uploads"].values()
    assert (reported["text"], reported["finished"], reported["code"]) == ("Processed", True, "")
    assert not {"patient", "href", "date"} & reported.keys()


def test_a_file_that_the_machine_gave_out_on_is_kept_and_can_be_tried_again(browser, owner, site):
    factories.UploadFactory(site=site, user=owner, status="failed", error_code="parser_gave_out")
    (reported,) = browser(owner).get("/upload/").context["recent"]
    assert reported["can_retry"]
    assert "Processing failed: out of time or memory" in reported["text"]
    assert reported["remedy"] == "The file is kept. Try again when the system is less busy."


@pytest.mark.parametrize("nonsense", ["[]", "{}", '{"ids": 3}', "not json"])
def test_a_question_that_cannot_be_read_is_refused(nonsense, browser, owner):
    for where in ("/upload/states/", "/upload/patients/"):
        response = browser(owner).post(where, nonsense, content_type="application/json")
        assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_a_site_without_identity_states_so_and_keeps_no_name(case, browser, owner, site):
    client = browser(owner)
    assert "removes identity" not in client.get("/upload/").content.decode()
    site.deidentify_on_ingest = True
    site.save()
    assert "This site de-identifies files on arrival" in client.get("/upload/").content.decode()
    text = hand_in(client, b"pixels", filename="Doe.png", patient_id="P-7", date="2026-11-02").json()
    upload = Upload.objects.get(pk=text["id"])
    assert (upload.filename, text["name"]) == ("", f"file {text['id'][:8]}")
    assert upload.stated_patient_id.startswith("anon-")


def test_a_patient_of_a_site_without_identity_is_found_by_the_true_identifier(browser, owner, site):
    site.deidentify_on_ingest = True
    site.save()
    factories.PatientFactory(site=site, patient_id=known_as(site, "P-7"), name="")
    response = browser(owner).post(
        "/upload/patients/", {"ids": ["P-7", "P-8"]}, content_type="application/json"
    )
    assert list(response.json()["patients"]) == ["P-7"]
