"""FHIR R4 below /fhir/: valid resources for who may see the scan, nothing for others."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from fhir.resources.R4B import get_fhir_model_class

from webapp.labels.readings import reading_sign

pytestmark = pytest.mark.django_db


def read(client, address: str) -> dict:
    response = client.get(f"/fhir/{address}")
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/fhir+json"
    body = response.json()
    get_fhir_model_class(body["resourceType"]).model_validate(body)
    return body


def search(client, form: dict):
    return client.post(
        "/fhir/DiagnosticReport/_search", urlencode(form), content_type="application/x-www-form-urlencoded"
    )


@pytest.fixture
def whole_client(client_of, owner, site):
    return client_of(owner, site, ("scan.view", "model.view"))


def test_every_resource_of_a_result_is_valid_and_its_references_lead_on(whole_client, finish):
    scan = finish(pneumonia=0.9).scan
    report = read(whole_client, f"DiagnosticReport/{scan.pk}")
    assert "Pneumonia, probability 0.90" in report["conclusion"]
    study = read(whole_client, report["imagingStudy"][0]["reference"])
    assert study["identifier"][0]["value"] == f"urn:oid:{scan.study.study_instance_uid}"
    for one in report["result"]:
        observation = read(whole_client, one["reference"])
        assert read(whole_client, observation["device"]["reference"])["resourceType"] == "Device"


def test_the_capability_statement_is_valid(whole_client):
    assert read(whole_client, "metadata")["fhirVersion"] == "4.0.1"


def test_a_reading_is_found_by_its_first_version(whole_client, finish, owner):
    study = finish().scan.study
    first = reading_sign(study=study, actor=owner, findings=["pneumonia"], comment="Left.")
    reading_sign(study=study, actor=owner, findings=["normal"], after=first.pk)
    report = read(whole_client, f"DiagnosticReport/{first.pk}")
    assert (report["status"], report["conclusion"]) == ("corrected", "Normal")


def test_a_search_finds_the_reports_of_a_patient(whole_client, finish):
    scan = finish().scan
    finish()
    form = {"subject:identifier": scan.patient.patient_id}
    bundle = search(whole_client, form).json()
    get_fhir_model_class("Bundle").model_validate(bundle)
    assert [entry["resource"]["id"] for entry in bundle["entry"]] == [str(scan.pk)]
    assert search(whole_client, {}).status_code == 400
    assert search(whole_client, {"name": "Doe"}).status_code == 400


@pytest.mark.parametrize(
    "address",
    ["DiagnosticReport/{scan}", "Observation/{hex}.result", "ImagingStudy/{study}", "Observation/x"],
)
def test_outsiders_see_nothing(client_of, outsider, other_site, finish, address):
    scan = finish().scan
    place = address.format(scan=scan.pk, hex=scan.pk.hex, study=scan.study.pk)
    client = client_of(outsider, other_site, ("scan.view", "model.view"))
    response = client.get(f"/fhir/{place}")
    assert response.status_code == 404
    outcome = response.json()
    get_fhir_model_class("OperationOutcome").model_validate(outcome)
    assert outcome["issue"][0]["code"] == "not-found"


def test_a_token_needs_the_scope(client_of, owner, site, finish):
    scan = finish().scan
    response = client_of(owner, site, ("scan.upload",)).get(f"/fhir/DiagnosticReport/{scan.pk}")
    assert response.status_code == 403
    assert response.json()["issue"][0]["details"]["text"] == "insufficient_scope"


def test_a_scan_without_a_result_has_no_report(whole_client, site):
    from tests.factories import ScanFactory

    scan = ScanFactory(site=site)
    assert whole_client.get(f"/fhir/DiagnosticReport/{scan.pk}").status_code == 404
