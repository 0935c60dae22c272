"""POST and GET /api/v1/scans/ as a program meets them."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from classifier.contract import PredictionSet
from classifier.reasons import IMAGE_ADVICE
from tests.factories import AnalysisFactory, ScanFactory, UploadFactory, cam, prediction
from tests.webapp.api.conftest import SCOPES
from webapp.accounts.services import token_create, token_revoke
from webapp.analysis.models import Analysis, StudySummary
from webapp.analysis.services import analysis_done
from webapp.api.serializers.scan_record import ScanRecord
from webapp.api.serializers.scans import ScanSerializer
from webapp.audit.models import AuditEvent
from webapp.core import storage
from webapp.scans.models import Upload

URL = "/api/v1/scans/"


def image(content: bytes = b"\x89PNG image") -> SimpleUploadedFile:
    return SimpleUploadedFile("chest.png", content, content_type="image/png")


class Unread(BytesIO):
    """A request body that must not be read."""

    def read(self, *args) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def code_of(response) -> str:
    assert response["Content-Type"] == "application/problem+json"
    return response.json()["code"]


def test_an_upload_is_known_by_its_id_from_then_on(client, site):
    response = client.post(URL, {"file": image(), "patient_id": "P-7", "study": "ACC-1"})
    assert response.status_code == 201
    upload = Upload.objects.get(site=site)
    assert response.json()["id"] == str(upload.pk)
    assert response["Location"] == f"{URL}{upload.pk}/"
    reply = client.get(response["Location"]).json()
    assert (reply["status"], reply["patient_id"], reply["analyses"]) == ("received", "P-7", [])
    assert "not a medical device" in reply["disclaimer"]


def test_a_dicom_file_is_accepted_as_a_raw_body(client, site):
    body = bytes(128) + b"DICM" + bytes(70_000)
    response = client.generic("POST", URL, body, content_type="application/dicom")
    assert response.status_code == 201
    upload = Upload.objects.get(site=site)
    assert (upload.size, upload.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    again = client.generic("POST", URL, body, content_type="application/dicom; transfer-syntax=*")
    assert (again.status_code, again.json()["id"]) == (200, str(upload.pk))
    cut = {"CONTENT_LENGTH": "90000", "wsgi.input": BytesIO(body + b"x")}
    response = client.post(URL, data=None, CONTENT_TYPE="application/dicom", **cut)
    assert (response.status_code, code_of(response)) == (400, "incomplete")
    large = client.post(URL, data=None, CONTENT_TYPE="application/dicom", CONTENT_LENGTH=str(10**12))
    assert (large.status_code, code_of(large)) == (413, "too_large")
    assert Upload.objects.count() == 1


def test_the_original_file_is_downloaded_and_the_download_recorded(
    client, client_of, outsider, other_site, site
):
    upload = Upload.objects.get(pk=client.post(URL, {"file": image()}).json()["id"])
    scan = ScanFactory(id=upload.pk, upload=upload, site=site)
    response = client.get(f"{URL}{scan.pk}/file/")
    assert (b"".join(response.streaming_content), response["Content-Type"]) == (
        b"\x89PNG image",
        "application/octet-stream",
    )
    assert response["Content-Disposition"] == f'attachment; filename="{scan.pk}"'
    assert AuditEvent.objects.filter(action="scan.downloaded", site=site).count() == 1
    assert client_of(outsider, other_site).get(f"{URL}{scan.pk}/file/").status_code == 404
    storage.delete_file(upload.stored_name)
    response = client.get(f"{URL}{scan.pk}/file/")
    assert (response.status_code, code_of(response)) == (404, "not_found")
    assert AuditEvent.objects.filter(action="scan.downloaded").count() == 1


def test_what_is_no_scan_yet_has_no_image_and_cannot_be_moved(client_of, person, site, other_site):
    scopes = (*SCOPES, "scan.move", "scan.label")
    admin = client_of(person("ada", role="admin", site=site), site, scopes)
    upload, theirs = UploadFactory(site=site), UploadFactory(site=other_site)
    for path, method in (("preview", "get"), ("display", "get"), ("labels", "get"), ("move", "post")):
        reply = getattr(admin, method)(f"{URL}{upload.pk}/{path}/")
        assert (reply.status_code, code_of(reply)) == (409, "not_ready")
        assert getattr(admin, method)(f"{URL}{theirs.pk}/{path}/").status_code == 404


def test_a_field_that_comes_twice_is_a_mistake(client):
    text = client.post(URL, {"file": image(), "patient_id": ["P-1", "P-2"]})
    assert (text.status_code, text.json()["code"], list(text.json()["errors"])) == (
        400,
        "invalid",
        ["patient_id"],
    )


def test_the_same_bytes_again_are_the_earlier_upload(client):
    first = client.post(URL, {"file": image()})
    second = client.post(URL, {"file": image()})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert Upload.objects.count() == 1


def test_the_same_bytes_for_another_patient_are_a_conflict(client):
    client.post(URL, {"file": image(), "patient_id": "P-1"})
    response = client.post(URL, {"file": image(), "patient_id": "P-2"})
    assert (response.status_code, code_of(response)) == (409, "patient_conflict")
    assert "POST to /scans/{id}/move/" in response.json()["remedy"]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"file": image(b"")}, 400, "empty_file"),
        ({}, 400, "invalid"),
        ({"file": image(), "modality": "mri"}, 400, "metadata_invalid"),
        ({"file": image(), "patient_id": "x" * 65}, 400, "metadata_invalid"),
        ({"file": image(), "date": "someday"}, 400, "metadata_invalid"),
    ],
)
def test_a_bad_request_is_processed_by_its_code_and_keeps_nothing(client, fields, status, code):
    response = client.post(URL, fields)
    assert (response.status_code, code_of(response)) == (status, code)
    assert response.json()["remedy"]
    assert not Upload.objects.exists()


def test_a_body_declared_too_large_is_refused_unread(client, settings):
    response = client.generic("POST", URL, b"", content_type="multipart/form-data; boundary=b")
    assert response.status_code == 411
    declared = str(settings.HILUM_MAX_ARCHIVE_BYTES * 2)
    response = client.post(URL, data=None, CONTENT_LENGTH=declared, **{"wsgi.input": Unread()})
    assert (response.status_code, code_of(response)) == (413, "too_large")


@pytest.mark.parametrize("authorization", ["", "Bearer hlm_unknown", "Basic b3duZXI6eA=="])
def test_without_a_live_token_the_body_is_not_read(db, authorization):
    response = APIClient().post(
        URL,
        data=None,
        CONTENT_LENGTH="100",
        HTTP_AUTHORIZATION=authorization,
        **{"wsgi.input": Unread()},
    )
    assert (response.status_code, code_of(response)) == (401, "unauthenticated")


def test_a_revoked_token_is_an_outsiders(owner, site):
    token, raw = token_create(user=owner, site=site, name="old", scopes=SCOPES)
    token_revoke(token=token)
    response = APIClient().get(f"{URL}{uuid.uuid4()}/", HTTP_AUTHORIZATION=f"Bearer {raw}")
    assert response.status_code == 401


def test_a_token_without_the_scope_is_reported_which_it_lacks(client_of, owner, site):
    reader = client_of(owner, site, ("scan.view",))
    response = reader.post(URL, data=None, CONTENT_LENGTH="100", **{"wsgi.input": Unread()})
    assert (response.status_code, code_of(response)) == (403, "insufficient_scope")
    assert (response.json()["scope"], response.json()["detail"]) == (
        "scan.upload",
        "This token lacks the scope scan.upload.",
    )
    assert response["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="scan.upload"'


def test_who_may_upload_but_not_read_is_reported_of_no_patient_and_no_result(
    client, client_of, teammate, site
):
    upload = Upload.objects.get(pk=client.post(URL, {"file": image(), "patient_id": "P-7"}).json()["id"])
    Upload.objects.filter(pk=upload.pk).update(status="done")
    scan = ScanFactory(id=upload.pk, upload=upload, site=site, patient__patient_id="P-7")
    AnalysisFactory(scan=scan, status="done", finding="pneumonia", probabilities={"pneumonia": 0.9})
    reported = client_of(teammate, site, ("scan.upload",)).post(URL, {"file": image()}).json()
    assert (reported["id"], reported["status"], reported["analyses"]) == (str(scan.pk), "done", [])
    assert [reported[name] for name in ("patient_id", "patient_uuid", "study_uuid")] == [None] * 3
    reported = client.post(URL, {"file": image()}).json()
    assert (reported["patient_id"], reported["patient_uuid"], len(reported["analyses"])) == (
        "P-7",
        str(scan.patient.pk),
        1,
    )


def test_a_scope_does_not_widen_the_role(client_of, person, site):
    auditor = client_of(person("eve", role="auditor", site=site), site)
    assert auditor.post(URL, {"file": image()}).status_code == 403


def test_owner_and_teammate_see_a_scan_and_an_outsider_does_not(
    client, client_of, teammate, outsider, site, other_site
):
    location = client.post(URL, {"file": image()})["Location"]
    assert client.get(location).status_code == 200
    assert client_of(teammate, site).get(location).status_code == 200
    response = client_of(outsider, other_site).get(location)
    assert (response.status_code, code_of(response)) == (404, "not_found")


def test_an_analysed_scan_shows_every_number_and_map(client, site):
    AnalysisFactory(scan__site=site)
    (analysis,) = Analysis.objects.claim()
    analysis_done(
        analysis=analysis,
        prediction=prediction(pneumonia=0.82, normal=0.11, covid19=0.07),
        cam=cam(),
        seconds=0.1,
    )
    reply = client.get(f"{URL}{analysis.scan_id}/").json()
    assert (reply["status"], reply["reason"]) == ("done", None)
    (reported,) = reply["analyses"]
    assert (reported["status"], reported["finding"], reported["withheld"]) == ("done", "pneumonia", False)
    assert reported["probabilities"] == {"pneumonia": 0.82, "normal": 0.11, "covid19": 0.07}
    assert reported["cam"] == cam().as_dict()
    assert reported["model"]["sha256"] == analysis.model_version.sha256
    assert reported["model"]["thresholds"]["pneumonia"] == 0.5


def test_an_analysis_has_the_models_prediction_set(client, site):
    AnalysisFactory(scan__site=site)
    (analysis,) = Analysis.objects.claim()
    stated = replace(
        prediction(covid19=0.46, pneumonia=0.44),
        prediction_set=PredictionSet(("covid19", "pneumonia"), 0.9),
    )
    analysis_done(analysis=analysis, prediction=stated, cam=cam(), seconds=0.1)
    (reported,) = client.get(f"{URL}{analysis.scan_id}/").json()["analyses"]
    expected = {"findings": ["covid19", "pneumonia"], "coverage": 0.9, "text": "COVID-19 or pneumonia"}
    assert reported["prediction_set"] == expected
    summary = StudySummary.objects.get(worst_scan=analysis.scan_id)
    assert summary.prediction_set["findings"] == ["covid19", "pneumonia"]


def test_an_abstention_comes_with_its_reason_and_the_withheld_numbers(client, site):
    analysis = AnalysisFactory(
        scan__site=site,
        status="done",
        abstention="low_confidence",
        withheld=True,
        probabilities={"pneumonia": 0.4},
    )
    reply = client.get(f"{URL}{analysis.scan_id}/").json()
    assert (reply["status"], reply["reason"]) == ("abstained", "low_confidence")
    assert reply["remedy"]
    (reported,) = reply["analyses"]
    assert (reported["status"], reported["withheld"], reported["probabilities"]) == (
        "abstained",
        True,
        {"pneumonia": 0.4},
    )


def test_a_scan_without_a_model_states_what_it_waits_for(client, site):
    reply = client.get(f"{URL}{ScanFactory(site=site, slot='ct').pk}/").json()
    assert (reply["status"], reply["reason"]) == ("waiting", "no_model_for_modality")


def test_a_refused_file_states_why_and_what_to_do(client, site):
    upload = UploadFactory(site=site, status="refused", refusal="too_small")
    reply = client.get(f"{URL}{upload.pk}/").json()
    assert (reply["status"], reply["reason"], reply["modality"]) == ("refused", "too_small", None)
    assert "64 pixels" in reply["remedy"]


@pytest.mark.parametrize("detail", IMAGE_ADVICE)
def test_a_header_that_contradicts_the_pixels_is_stated(client, site, detail):
    upload = UploadFactory(site=site, status="refused", refusal="undecodable", refusal_detail=detail)
    reply = client.get(f"{URL}{upload.pk}/").json()
    advice = IMAGE_ADVICE[detail]
    assert (reply["detail"], reply["remedy"]) == (advice.problem, advice.remedy)


def test_a_file_that_the_parser_gave_out_on_states_that_it_can_be_sent_again(client, site):
    upload = UploadFactory(site=site, status="failed", error_code="parser_gave_out")
    reply = client.get(f"{URL}{upload.pk}/").json()
    assert (reply["status"], reply["reason"]) == ("upload_failed", "parser_gave_out")
    assert "again" in reply["remedy"]


@pytest.mark.usefixtures("later_in_the_visit")
def test_a_scan_with_many_analyses_costs_a_fixed_number_of_queries(
    client, site, django_assert_max_num_queries
):
    scan = ScanFactory(site=site)
    for _ in range(5):
        AnalysisFactory(scan=scan, model_version__status="retired")
    client.get("/api/v1/me/")
    with django_assert_max_num_queries(6):
        assert len(client.get(f"{URL}{scan.pk}/").json()["analyses"]) == 5


def test_status_and_analyses_are_of_one_time(case):
    queued = list(case.scan.analyses.all())
    for analysis in queued:
        analysis.status = "running"
    reported = ScanSerializer(ScanRecord(case.scan, queued)).data
    assert (reported["status"], reported["analyses"][0]["status"]) == ("analysing", "running")
    assert ScanSerializer(ScanRecord.of(case.scan)).data["status"] == "done"
