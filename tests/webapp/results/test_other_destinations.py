"""STOW-RS, FHIR and HL7 v2: what arrives, and what becomes of it when the receiver refuses."""

from __future__ import annotations

import io
import json

import pydicom
import pytest
from fhir.resources.R4B import get_fhir_model_class
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from tests.factories import PatientFactory, ScanFactory
from tests.webapp.results.conftest import DX
from webapp.core.errors import CodedError
from webapp.labels.readings import reading_sign
from webapp.results.deliveries import destination_test
from webapp.results.hl7v2 import text
from webapp.results.models import ResultDelivery
from webapp.results.services import destination_create
from webapp.scans.patients.corrections import scan_move

pytestmark = pytest.mark.django_db


def only() -> ResultDelivery:
    return ResultDelivery.objects.get()


@pytest.fixture
def stow(site, admin, web):
    return destination_create(site=site, actor=admin, name="Archive", kind="stow", url=web.url)


@pytest.fixture
def fhir(site, admin, web):
    return destination_create(site=site, actor=admin, name="EHR", kind="fhir", url=web.url)


@pytest.fixture
def hl7(site, admin, mllp):
    return destination_create(
        site=site, actor=admin, name="RIS", kind="hl7", host="127.0.0.1", port=mllp.port
    )


def resources(bundle: dict, kind: str) -> list[dict]:
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind]


def test_objects_go_to_a_web_server_one_by_one(web, stow, rule, finish, send_all):
    rule(stow, kinds=["result", "heatmap"])
    finish()
    send_all()
    assert only().status == "delivered"
    assert [path for path, _, _ in web.got] == ["/base/studies"] * 2
    modalities = [pydicom.dcmread(io.BytesIO(one)).Modality for one in web.objects()]
    assert modalities == ["SR", "PR"]


def test_after_an_error_of_the_web_server_only_the_rest_is_sent(web, stow, rule, finish, send_all):
    rule(stow, kinds=["result", "heatmap"])
    finish()
    web.statuses = [200, 503]
    send_all()
    assert (only().status, only().accepted.count()) == ("waiting", 1)
    send_all(later=True)
    modalities = [pydicom.dcmread(io.BytesIO(one)).Modality for one in web.objects()]
    assert modalities == ["SR", "PR", "PR"]
    assert only().status == "delivered"


@pytest.mark.parametrize(("reason", "status"), [(0x0111, "delivered"), (0xA900, "failed")])
def test_a_duplicate_is_there_already_and_a_refusal_is_final(
    web, stow, rule, finish, send_all, reason, status
):
    rule(stow)
    finish()
    web.statuses = [409]
    web.response = json.dumps(
        {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [reason]}}]}}
    ).encode()
    send_all()
    assert only().status == status


def test_the_credential_of_the_settings_is_sent(web, stow, rule, finish, send_all, settings):
    settings.HILUM_RESULT_CREDENTIALS = {"archive": "user:secret", "token": "abc"}
    type(stow).objects.update(credential="archive")
    rule(stow)
    finish()
    send_all()
    type(stow).objects.update(credential="token")
    finish()
    send_all()
    assert [headers["Authorization"] for _, headers, _ in web.got] == ["Basic dXNlcjpzZWNyZXQ=", "Bearer abc"]


def test_a_missing_credential_is_named(stow, rule, finish, send_all):
    type(stow).objects.update(credential="forgotten")
    rule(stow)
    finish()
    send_all()
    assert "forgotten" in only().tries.get().problem


def test_valid_fhir_resources_go_in_one_transaction(web, fhir, rule, finish, send_all):
    rule(fhir)
    analysis = finish(pneumonia=0.9, normal=0.1)
    send_all()
    assert only().status == "delivered"
    (bundle,) = web.json()
    model = get_fhir_model_class("Bundle").model_validate(bundle)
    assert model.type == "transaction"
    (report,) = resources(bundle, "DiagnosticReport")
    assert report["status"] == "preliminary"
    observed = {one["id"]: one for one in resources(bundle, "Observation")}
    assert {r["reference"] for r in report["result"]} == {f"Observation/{key}" for key in observed}
    pneumonia = next(o for o in observed.values() if o["code"]["text"] == "Pneumonia")
    assert pneumonia["valueQuantity"]["value"] == 0.9
    assert {c["system"] for c in pneumonia["code"]["coding"]} == {
        "http://snomed.info/sct",
        "http://radlex.org",
    }
    (device,) = resources(bundle, "Device")
    assert device["identifier"][0]["value"] == analysis.model_version.sha256


def test_a_withheld_result_has_no_finding_in_fhir(web, fhir, rule, finish, send_all):
    from dataclasses import replace

    from classifier.reasons import AbstentionReason
    from tests.factories import prediction

    rule(fhir)
    finish(prediction_of=replace(prediction(pneumonia=0.9), abstention=AbstentionReason.LATERAL_VIEW))
    send_all()
    (bundle,) = web.json()
    (status,) = resources(bundle, "Observation")
    assert status["valueCodeableConcept"]["text"] == "Withheld: no finding is stated"
    assert "neumonia" not in json.dumps(bundle)
    assert "lateral view" in resources(bundle, "DiagnosticReport")[0]["conclusion"]


def test_a_signed_reading_is_final_and_its_correction_replaces_it(web, fhir, rule, finish, send_all, owner):
    rule(fhir, when="after_reading")
    study = finish().scan.study
    first = reading_sign(study=study, actor=owner, findings=["pneumonia"], comment="Left.")
    reading_sign(study=study, actor=owner, findings=["normal"], after=first.pk)
    send_all()
    found = [[r for r in resources(b, "DiagnosticReport") if "performer" in r] for b in web.json()]
    assert [(r["id"], r["status"]) for (r,) in found] == [
        (str(first.pk), "final"),
        (str(first.pk), "corrected"),
    ]
    for bundle in web.json():
        get_fhir_model_class("Bundle").model_validate(bundle)


def test_a_moved_scan_keeps_its_resources_under_the_new_patient(
    site, web, fhir, rule, finish, send_all, owner
):
    rule(fhir)
    scan = finish().scan
    send_all()
    other = PatientFactory(site=site)
    scan_move(scan=scan, patient=other, actor=owner, reason="mixed up")
    send_all()
    before, after = (resources(bundle, "DiagnosticReport")[0] for bundle in web.json())
    assert before["id"] == after["id"]
    assert after["subject"]["identifier"]["value"] == other.patient_id


def test_a_message_of_the_result_is_valid_hl7(site, mllp, hl7, rule, finish, send_all):
    rule(hl7)
    patient = PatientFactory(site=site, name="O|Hara^Jo&hn", sex="F")
    scan = ScanFactory(
        site=site,
        series__study__patient=patient,
        series__study__accession_number="A^1",
        metadata={"SOPClassUID": DX, "SOPInstanceUID": "1.2.5.1"},
    )
    finish(scan=scan, pneumonia=0.9)
    send_all()
    assert only().status == "delivered"
    (message,) = mllp.got
    parsed = parse_message(message, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
    assert parsed.name == "ORU_R01"
    lines = [segment.split("|") for segment in message.split("\r")]
    assert next(line[5] for line in lines if line[0] == "PID") == "O\\F\\Hara^Jo\\T\\hn"
    assert next(line[18] for line in lines if line[0] == "OBR") == "A\\S\\1"
    values = {line[3].split("^")[1]: line[5] for line in lines if line[0] == "OBX"}
    assert values["Pneumonia"] == "0.9000"
    assert values["Status of the AI result"].split("^")[1] == "A finding is reported"
    assert {line[11] for line in lines if line[0] == "OBX"} == {"P"}


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [("AR", "waiting", "hl7_refused"), ("AE", "failed", "hl7_refused"), ("", "waiting", "hl7_no_response")],
)
def test_a_refused_message_is_sent_again_unless_it_is_wrong(
    mllp, hl7, rule, finish, send_all, code, status, error
):
    rule(hl7)
    finish()
    mllp.codes = [code]
    send_all()
    assert (only().status, only().error_code) == (status, error)


def test_a_repeated_message_has_the_same_control_id(mllp, hl7, rule, finish, send_all):
    rule(hl7)
    finish()
    mllp.codes = [""]
    send_all()
    send_all(later=True)
    first, second = (message.split("|")[9] for message in mllp.got)
    assert first == second
    assert len(first) <= 20
    assert only().status == "delivered"


@pytest.mark.parametrize("value", ["a|b^c&d~e\\f\r\ng\x0b\x1ch"])
def test_text_cannot_end_a_segment_or_a_message(value):
    assert not set(text(value).replace("\\.br\\", "").replace("\\", "")) & set("|^&~\r\n\x0b\x1c")


@pytest.mark.parametrize("kind", ["stow", "fhir", "hl7"])
def test_each_kind_has_a_test_of_the_connection(request, kind, send_all, admin):
    destination_test(destination=request.getfixturevalue(kind), actor=admin)
    send_all()
    assert (only().status, only().error_code) == ("delivered", "")


@pytest.mark.parametrize(
    "address",
    [
        {"kind": "dicom", "host": "10.1.2.3", "port": 104, "called_ae": "PACS"},
        {"kind": "dicom", "host": "169.254.169.254", "port": 104, "called_ae": "PACS"},
        {"kind": "hl7", "host": "192.168.0.1"},
        {"kind": "hl7", "host": "a b"},
        {"kind": "stow", "url": "https://10.1.2.3/"},
        {"kind": "fhir", "url": "http://example.org/"},
    ],
)
def test_addresses_are_those_that_webhooks_may_have(site, admin, address):
    with pytest.raises(CodedError) as refused:
        destination_create(site=site, actor=admin, name="X", **address)
    assert refused.value.code == "webhook_address_refused"


def test_a_network_that_the_settings_name_is_allowed(site, admin, settings):
    settings.HILUM_WEBHOOK_NETWORKS = ["10.0.0.0/8"]
    destination_create(site=site, actor=admin, name="X", kind="dicom", host="10.1.2.3", called_ae="PACS")


def test_a_public_address_needs_tls(site, admin, rule, finish, send_all):
    public = destination_create(
        site=site, actor=admin, name="X", kind="dicom", host="8.8.8.8", port=104, called_ae="PACS"
    )
    rule(public)
    finish()
    send_all()
    assert (only().status, only().error_code) == ("waiting", "address_refused")
