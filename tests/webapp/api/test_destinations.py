"""Destinations of results over the API: set up, tested, sent to, and what came of it."""

from __future__ import annotations

import pytest

from webapp.results.models import Destination, ResultDelivery, Rule

pytestmark = pytest.mark.django_db
URL = "/api/v1/destinations/"
PACS = {"name": "Archive", "kind": "dicom", "host": "127.0.0.1", "port": 4242, "called_ae": "ORTHANC"}
PENDING = {"cause": "request", "key": "2", "status": "waiting"}


def test_a_destination_is_created_changed_and_deleted(admin, site):
    created = admin.post(URL, PACS, "json")
    assert created.status_code == 201, created.json()
    body = created.json()
    assert (body["called_ae"], body["calling_ae"], body["port"]) == ("ORTHANC", "HILUM", 4242)
    assert (body["url"], body["credential"], body["active"], body["rules"]) == (None, None, True, [])
    one = f"{URL}{body['id']}/"
    assert admin.get(one).json() == body
    assert [row["id"] for row in admin.get(URL).json()["results"]] == [body["id"]]
    changed = admin.patch(one, {"active": False, "port": 104}, "json")
    assert (changed.json()["active"], changed.json()["port"]) == (False, 104)
    assert admin.delete(one).status_code == 204
    assert admin.get(one).status_code == 404
    assert Destination.objects.get(site=site).removed


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"called_ae": "SEVENTEEN LETTERS"}, "invalid"),
        ({"called_ae": "back\\slash"}, "invalid"),
        ({"host": "169.254.169.254"}, "webhook_address_refused"),
        ({"port": 70000}, "invalid"),
        ({"kind": "fax"}, "invalid"),
        ({"password": "x"}, "invalid"),
        ({"kind": "fhir", "url": "http://example.org/fhir"}, "webhook_address_refused"),
    ],
)
def test_what_is_no_address_is_refused(admin, change, code):
    response = admin.post(URL, PACS | change, "json")
    assert response.json()["code"] == code
    assert response.status_code == (403 if code == "webhook_address_refused" else 400)


def test_a_name_is_taken_once(admin, case):
    response = admin.post(URL, PACS | {"name": "PACS"}, "json")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")


def test_a_rule_is_added_and_deleted(admin, case):
    rules = f"{URL}{case.destination.pk}/rules/"
    wanted = {"when": "after_reading", "findings": ["covid19"], "withheld": False, "kinds": ["pdf", "result"]}
    created = admin.post(rules, wanted, "json")
    assert created.status_code == 201
    assert created.json().items() >= wanted.items()
    listed = admin.get(f"{URL}{case.destination.pk}/").json()["rules"]
    assert [one["when"] for one in listed] == ["on_request", "after_reading"]
    assert admin.delete(f"/api/v1/result-rules/{created.json()['id']}/").status_code == 204
    assert Rule.objects.get() == case.result_rule
    assert admin.post(rules, wanted | {"kinds": ["image"]}, "json").status_code == 400


def test_a_result_is_sent_on_request_by_who_may(admin, client, case):
    address, asked = f"/api/v1/scans/{case.scan.pk}/results/", {"destination": str(case.destination.pk)}
    assert client.post(address, asked, "json").status_code == 403
    sent = admin.post(address, asked, "json")
    assert (sent.status_code, sent.json()["cause"], sent.json()["status"]) == (201, "request", "waiting")
    assert ResultDelivery.objects.get(pk=sent.json()["id"]).analysis == case.analysis
    case.result_rule.delete()
    assert admin.post(address, asked, "json").status_code == 404


def test_deliveries_are_listed_sent_again_and_given_up(admin, case):
    address = "/api/v1/result-deliveries/"
    case.result_delivery.tries.create(error_code="unreachable", problem="refused", seconds=0.5)
    waiting = ResultDelivery.objects.create(destination=case.destination, study=case.study, **PENDING)
    listed = admin.get(address).json()["results"]
    assert [one["id"] for one in listed] == [str(waiting.pk), str(case.result_delivery.pk)]
    assert listed[1]["attempts"][0]["reason"] == "unreachable"
    failed = admin.get(address, {"status": "failed", "scan": str(case.scan.pk)}).json()["results"]
    assert [one["id"] for one in failed] == [str(case.result_delivery.pk)]
    again = admin.post(f"{address}{case.result_delivery.pk}/resend/")
    assert (again.status_code, again.json()["status"]) == (200, "waiting")
    assert admin.post(f"{address}{waiting.pk}/resend/").json()["code"] == "conflict"
    assert admin.post(f"{address}{waiting.pk}/dismiss/").json()["status"] == "dismissed"
    assert admin.post(f"{address}{waiting.pk}/dismiss/").status_code == 409


def test_the_connection_is_tested(admin, case):
    tested = admin.post(f"{URL}{case.destination.pk}/test/")
    assert (tested.status_code, tested.json()["cause"], tested.json()["study"]) == (201, "test", None)
