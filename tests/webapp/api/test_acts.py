"""What is changed over the API: retries, moves, merges, promotions, trainings; and searches by POST."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.factories import AnalysisFactory, ModelVersionFactory, PatientFactory, ScanFactory, UploadFactory
from webapp.accounts.permissions import Permission
from webapp.audit.models import AuditEvent
from webapp.audit.services import record
from webapp.scans.models import Patient, ScanMove
from webapp.training.models import TrainingRun

V1 = "/api/v1"


def test_what_failed_is_tried_again(client, site):
    failed = UploadFactory(site=site, status="failed", error_code="parser_gave_out")
    assert client.post(f"{V1}/uploads/{failed.pk}/retry/").json()["status"] == "received"
    again = client.post(f"{V1}/scans/{failed.pk}/retry/")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    analysis = AnalysisFactory(scan__site=site, status="failed", error_code="out_of_memory")
    assert client.post(f"{V1}/scans/{analysis.scan_id}/retry/").json()["status"] == "analysing"
    waiting = ScanFactory(site=site, slot="ct")
    assert client.post(f"{V1}/scans/{waiting.pk}/retry/").json()["code"] == "conflict"


def test_a_scan_is_moved_by_key_or_by_identifier(admin, site):
    scan, other = ScanFactory(site=site), PatientFactory(site=site, patient_id="P-9")
    where = f"{V1}/scans/{scan.pk}/move/"
    by_key = admin.post(where, {"patient_uuid": str(other.pk), "reason": "wrong label"}, "json")
    assert (by_key.status_code, by_key.json()["patient_uuid"]) == (200, str(other.pk))
    unknown = admin.post(where, {"patient_id": "P-10", "reason": "again"}, "json")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "metadata_invalid")
    made = admin.post(where, {"patient_id": "P-10", "create": True, "reason": "again"}, "json")
    assert made.json()["patient_id"] == "P-10"
    assert [move.reason for move in ScanMove.objects.all()] == ["again", "wrong label"]
    reported = admin.get(f"{V1}/patients/{other.pk}/").json()
    assert [move["reason"] for move in reported["moves"]] == ["again", "wrong label"]


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "x"},
        {"patient_id": "P", "patient_uuid": "6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1", "reason": "x"},
        {"patient_id": "P"},
        {"patient_id": 7, "reason": "x"},
        {"patient_id": "P", "reason": "x", "create": "yes"},
        {"patient_uuid": 7, "reason": "x"},
        {"patient_id": "P\u0000", "reason": "x"},
        {"patient_id": "P", "reason": "  "},
    ],
)
def test_a_move_that_is_not_clear_is_refused(admin, site, body):
    scan = ScanFactory(site=site)
    response = admin.post(f"{V1}/scans/{scan.pk}/move/", body, "json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert not ScanMove.objects.exists()


def test_a_scan_is_not_moved_to_another_sites_patient(admin, site, other_site):
    theirs = PatientFactory(site=other_site)
    body = {"patient_uuid": str(theirs.pk), "reason": "x"}
    response = admin.post(f"{V1}/scans/{ScanFactory(site=site).pk}/move/", body, "json")
    assert response.status_code == 404


def test_two_patients_are_merged_and_unmerged(admin, site):
    one, other = PatientFactory(site=site, name="DOE^Jane"), PatientFactory(site=site, name="DOE^J")
    scan = ScanFactory(site=site, patient=other)
    merged = admin.post(
        f"{V1}/patients/{one.pk}/merge/", {"source_uuid": str(other.pk), "reason": "same card"}, "json"
    )
    assert merged.status_code == 201
    reported = admin.get(f"{V1}/patients/{one.pk}/").json()
    assert (reported["scans"], [merge["reason"] for merge in reported["merges"]]) == (1, ["same card"])
    assert admin.get(f"{V1}/patients/{other.pk}/").json()["merged_into"] == str(one.pk)
    history = admin.get(f"{V1}/patients/{other.pk}/history/").json()
    assert history["patient_uuid"] == str(one.pk)
    assert [entry["scan"]["id"] for entry in history["entries"]] == [str(scan.pk)]
    assert [text["value"] for text in history["disagreements"]["name"]] == ["DOE^Jane", "DOE^J"]
    where = f"{V1}/merges/{merged.json()['id']}/undo/"
    unmerged = admin.post(where, {"reason": "two persons"}, "json").json()
    assert (unmerged["unmerged_reason"], bool(unmerged["unmerged_at"])) == ("two persons", True)
    assert admin.get(f"{V1}/patients/{other.pk}/").json()["scans"] == 1


def test_a_merge_on_the_condition_of_a_state_is_refused_in_another(admin, site):
    one, other = PatientFactory(site=site), PatientFactory(site=site)
    seen = admin.get(f"{V1}/patients/{one.pk}/")["ETag"]
    Patient.objects.filter(pk=one.pk).update(sex="F")
    body = {"source_uuid": str(other.pk), "reason": "x"}
    response = admin.post(f"{V1}/patients/{one.pk}/merge/", body, "json", headers={"if-match": seen})
    assert response.json()["code"] == "precondition_failed"


def test_patients_are_searched_for_in_the_body_page_by_page(client, site, other_site):
    found = [PatientFactory(site=site, name=f"DOE^{n}") for n in range(3)]
    PatientFactory(site=site, name="ROE^Jane")
    PatientFactory(site=other_site, name="DOE^Theirs")
    first = client.post(f"{V1}/patients/search/?limit=2", {"q": "doe"}, "json").json()
    rest = client.post(first["next"], {"q": "doe"}, "json").json()
    assert {row["id"] for row in first["results"] + rest["results"]} == {str(one.pk) for one in found}
    assert (len(rest["results"]), rest["next"]) == (1, None)
    assert client.post(rest["previous"], {"q": "doe"}, "json").json()["results"] == first["results"]
    assert (first["count"], rest["count"]) == (3, 3)
    response = client.post(f"{V1}/patients/search/?cursor=x", {"q": "doe"}, "json")
    assert response.json()["code"] == "cursor_invalid"


def test_studies_are_searched_for_by_patient(client, case):
    response = client.post(f"{V1}/studies/search/", {"q": "P-42", "status": "done"}, "json").json()
    assert [row["id"] for row in response["results"]] == [str(case.study.pk)]
    (row,) = response["results"]
    assert (row["finding"], row["probability"], row["patient_name"]) == ("pneumonia", 0.82, "DOE^Jane")
    assert not client.post(f"{V1}/studies/search/", {"q": "P-42", "status": "failed"}, "json").json()[
        "results"
    ]


def test_who_identifiers_name_is_reported_before_a_file_is_sent(client, site, case):
    body = {"patient_ids": ["P-42", "P-43"]}
    reported = client.post(f"{V1}/patients/lookup/", body, "json").json()["results"]
    assert list(reported) == ["P-42"]
    assert reported["P-42"]["id"] == str(case.patient.pk)


def test_a_study_reports_of_each_of_its_images(client, case):
    reported = client.get(f"{V1}/studies/{case.study.pk}/").json()
    assert [image["id"] for image in reported["images"]] == [str(case.scan.pk)]
    assert reported["images"][0]["probabilities"]["pneumonia"] == 0.82


def test_a_model_is_promoted_with_a_reason_by_whoever_may_everywhere(admin, client_of, owner, site):
    version = ModelVersionFactory(status="candidate", card={"limits": ["none"]})
    where = f"{V1}/models/{version.pk}/promote/"
    reported = admin.get(f"{V1}/models/{version.pk}/").json()
    assert (reported["card"], reported["may_promote"], reported["status"]) == (
        {"limits": ["none"]},
        True,
        "candidate",
    )
    assert admin.post(where, {"reason": ""}, "json").json()["code"] == "invalid"
    response = admin.post(where, {"reason": "better"}, "json")
    # The factory's version has no file: the registry looks before it promotes.
    assert (response.status_code, response.json()["code"]) == (409, "artifact_damaged")
    clinician = client_of(owner, site, tuple(Permission))
    assert clinician.post(where, {"reason": "better"}, "json").json()["code"] == "forbidden"


def test_a_training_is_started_followed_and_ended(admin, site, settings, tmp_path):
    settings.HILUM_DATA_SETS = [str(tmp_path)]
    (tmp_path / "m.csv").touch()
    body = {"data_set": "m.csv", "config": {"epochs": 3, "seed": 5.0}}
    started = admin.post(f"{V1}/training-runs/", body, "json")
    assert (started.status_code, started.json()["status"], started.json()["seed"]) == (201, "queued", 5)
    where = f"{V1}/training-runs/{started.json()['id']}/"
    assert admin.get(where).json() == started.json()
    assert admin.post(f"{where}cancel/").json()["status"] == "cancelled"
    assert admin.post(f"{where}cancel/").json()["code"] == "conflict"
    for name in ("/etc/passwd", "../m.csv", "absent.csv"):
        wrong = admin.post(f"{V1}/training-runs/", {"data_set": name}, "json")
        assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["data_set"])
    path = admin.post(f"{V1}/training-runs/", {"manifest": str(tmp_path / "m.csv")}, "json")
    assert (path.status_code, list(path.json()["errors"])) == (400, ["manifest"])
    assert TrainingRun.objects.count() == 1


def test_an_auditor_reads_the_trail_and_nothing_else(client_of, person, site, other_site, case):
    auditor = client_of(person("eve", role="auditor", site=site), site, ("audit.view",))
    events = auditor.get(f"{V1}/audit-events/", {"action": "membership.granted"}).json()["results"]
    assert events
    assert {event["site"] for event in events} == {str(site.pk)}
    assert AuditEvent.objects.filter(action="membership.granted").count() >= len(events)
    assert auditor.get(f"{V1}/scans/{case.scan.pk}/").status_code == 403


def test_the_trail_is_narrowed_by_what_an_auditor_asks_and_walked_page_by_page(
    client_of, person, site, owner, other_site, case
):
    auditor = client_of(person("eve", role="auditor", site=site), site, ("audit.view",))
    for n in range(5):
        record(actor=owner, site=site, action="scan.moved", subject=case.scan, detail={"n": n})
    record(actor=None, site=site, action="scan.moved", subject=case.upload)
    record(actor=owner, site=other_site, action="scan.moved", subject=case.scan)

    def found(**asked: object) -> list[dict]:
        where, rows = f"{V1}/audit-events/?{urlencode(asked)}", []
        while where:
            response = auditor.get(where).json()
            rows, where = rows + response["results"], response["next"]
        return rows

    moved = found(action="scan.moved", limit=2)
    assert [event["detail"].get("n") for event in moved] == [None, 4, 3, 2, 1, 0]
    assert (moved[0]["actor"], moved[0]["actor_id"]) == (None, None)
    assert (moved[1]["actor"], moved[1]["actor_id"]) == ("owner", str(owner.pk))
    assert found(actor=owner.pk, action="scan.moved") == moved[1:]
    assert found(subject=moved[1]["subject"], action="scan.moved") == moved[1:]
    assert found(action="scan.moved", created_after=moved[2]["created_at"]) == moved[:3]
    assert found(action="scan.moved", created_before=moved[2]["created_at"]) == moved[3:]
    assert auditor.get(f"{V1}/audit-events/{moved[0]['id']}/").status_code == 404


def test_a_caller_is_reported_who_they_are(client_of, owner, site):
    reported = client_of(owner, site, ("scan.view", "model.promote")).get(f"{V1}/me/").json()
    assert (reported["user"], reported["role"], reported["site"]["slug"]) == ("owner", "clinician", "st-anna")
    assert reported["permissions"] == ["scan.view"], "a scope does not widen the role"
    assert reported["scopes"] == ["model.promote", "scan.view"]


def test_a_member_of_nothing_is_reported_who_to_ask(client_of, person, site):
    response = client_of(person("lone"), site).get(f"{V1}/me/")
    assert (response.status_code, response.json()["code"]) == (403, "no_site")


def test_a_patients_scans_are_scored_again_by_the_active_model(case, client):
    active = ModelVersionFactory(slot=case.scan.slot, status="active")
    where = f"{V1}/patients/{case.patient.pk}/rescore/"
    for _ in range(2):
        response = client.post(where)
        assert (response.status_code, response.json()) == (200, {"waiting": 1})
    assert case.scan.analyses.filter(model_version=active, status="queued").count() == 1
    assert case.scan.analyses.count() == 2
