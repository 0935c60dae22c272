"""The loop over HTTP: snapshots, runs, schedules, comparisons, the gate's policy, promotion and rollback."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.webapp.registry.test_promotion_gate import WORSE, report
from webapp.core import storage
from webapp.registry.comparisons import comparison_done
from webapp.registry.models import Comparison, ModelVersion, Promotion
from webapp.registry.selectors import active_models
from webapp.registry.services import model_register
from webapp.training.models import DataValidation, Snapshot, TrainingRun, TrainingSchedule

pytestmark = pytest.mark.django_db
V1 = "/api/v1"


@pytest.fixture
def active(tmp_path, case):
    return factories.make_active(model_register(factories.artifact(tmp_path / "active", seed=1)))


@pytest.fixture
def candidate(tmp_path, site, active):
    return model_register(factories.artifact(tmp_path / "candidate", seed=2), site=site)


@pytest.fixture
def labelled(site):
    for finding in ("pneumonia", "normal"):
        for _ in range(4):
            factories.LabelFactory(scan=factories.ScanFactory(site=site), findings={finding: "present"})


def judge(**changes) -> None:
    row = next(iter(Comparison.objects.claim()), None)
    assert comparison_done(comparison=row, report=report(**changes))


def post(client, path: str, body=None):
    return client.post(f"{V1}{path}", body or {}, "json")


def test_a_snapshot_is_made_once_and_its_manifest_can_be_had(admin, labelled):
    made = post(admin, "/snapshots/")
    assert (made.status_code, made.json()["counts"]["images"]) == (201, 8)
    assert (made.json()["validation"], made.json()["warnings"]) == ("queued", None)
    again = post(admin, "/snapshots/", {"slot": "cxr"})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    manifest = admin.get(f"{V1}/snapshots/{made.json()['id']}/manifest/")
    assert manifest["Content-Type"] == "text/csv"
    assert b"".join(manifest.streaming_content).count(b"\n") == 9
    storage.delete_file(Snapshot.objects.get().stored_name)
    gone = admin.get(f"{V1}/snapshots/{made.json()['id']}/manifest/")
    assert (gone.status_code, gone.json()["code"]) == (503, "unavailable")
    nothing = post(admin, "/snapshots/", {"slot": "ct"})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_labelled")


def test_a_run_on_a_snapshot_is_started_reported_and_cancelled_and_the_same_one_not_again(admin, case):
    body = {"snapshot": str(case.snapshot.pk), "start": "active", "config": {"epochs": 2, "seed": 3}}
    run = post(admin, "/training-runs/", body)
    assert run.status_code == 201
    reported = run.json()
    assert (reported["snapshot"], reported["start"], reported["trigger"], reported["seed"]) == (
        str(case.snapshot.pk), "active", "person", 3,
    )  # fmt: skip
    again = post(admin, "/training-runs/", body)
    assert (again.status_code, again.json()["code"]) == (409, "data_unchanged")
    TrainingRun.objects.filter(pk=reported["id"]).update(curve=[{"epoch": 1}], log=["epoch: epoch 1"])
    log = admin.get(f"{V1}/training-runs/{reported['id']}/log/").json()
    assert log == {"curve": [{"epoch": 1}], "lines": ["epoch: epoch 1"]}
    listed = admin.get(f"{V1}/training-runs/?snapshot={case.snapshot.pk}").json()["results"]
    assert [one["id"] for one in listed] == [reported["id"]]
    assert post(admin, f"/training-runs/{reported['id']}/cancel/").json()["status"] == "cancelled"


def test_a_run_on_what_is_labelled_when_it_begins(admin, labelled):
    reported = post(admin, "/training-runs/", {"slot": "cxr"}).json()
    assert (reported["snapshot"], reported["slot"], reported["start"]) == (None, "cxr", "scratch")


def test_another_sites_snapshot_is_nothing_to_train_on(admin, other_site, owner):
    far = Snapshot.objects.create(
        site=other_site, slot="cxr", created_by=owner, fingerprint="x", findings=[], stored_name="x"
    )
    assert post(admin, "/training-runs/", {"snapshot": str(far.pk)}).status_code == 404
    assert admin.get(f"{V1}/snapshots/{far.pk}/manifest/").status_code == 404


def test_a_schedule_is_written_read_and_deleted(admin, site):
    rules = {"cadence": "monthly", "day": 3, "at": "04:15:00", "new_labels": 100, "on_drift": True}
    made = post(admin, "/training-schedules/", rules)
    assert made.status_code == 200
    reported = made.json()
    assert {name: reported[name] for name in rules} == rules
    assert reported["next_at"]
    assert post(admin, "/training-schedules/", {"new_labels": None}).json()["cadence"] == "monthly"
    assert admin.get(f"{V1}/training-schedules/{reported['id']}/").json()["new_labels"] is None
    assert admin.delete(f"{V1}/training-schedules/{reported['id']}/").status_code == 204
    assert not TrainingSchedule.objects.exists()
    wrong = post(admin, "/training-schedules/", {"cadence": "hourly", "day": 31})
    assert set(wrong.json()["errors"]) == {"cadence", "day"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("at", "04:15:00Z"),
        ("at", "04:15:00+02:00"),
        ("at", "4"),
        ("at", 4),
        ("enabled", "yes"),
        ("on_drift", 1),
        ("weekday", "3"),
        ("day", True),
    ],
)
def test_a_schedule_takes_each_value_in_its_own_type_and_no_zone_that_it_would_forget(admin, name, value):
    wrong = post(admin, "/training-schedules/", {name: value})
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, [name])
    assert not TrainingSchedule.objects.exists()


def test_past_the_promotion_gate_leads_a_comparison_that_passes_and_back_leads_a_rollback(
    admin, active, candidate, case
):
    promote = f"/models/{candidate.pk}/promote/"
    refused = post(admin, promote, {"reason": "mine"})
    assert (refused.status_code, refused.json()["code"]) == (409, "promotion_gate_failed")
    promotion_gate = f"{V1}/models/{candidate.pk}/promotion-gate/"
    assert admin.get(promotion_gate).json() == {"status": "unjudged", "comparison": None}
    asked = post(admin, f"/models/{candidate.pk}/compare/", {"snapshot": str(case.snapshot.pk)})
    assert (asked.status_code, asked.json()["outcome"]) == (202, None)
    case.comparison.delete()
    judge()
    assert admin.get(promotion_gate).json()["status"] == "passed"
    done = post(admin, promote, {"reason": "it passed"})
    assert (done.status_code, done.json()["overridden"]) == (201, False)
    assert done.json()["comparison"] == asked.json()["id"]
    back = post(admin, f"/models/{candidate.pk}/rollback/")
    assert (back.status_code, back.json()["model"]) == (201, str(active.pk))
    assert active_models()["cxr"] == active
    again = post(admin, f"/models/{candidate.pk}/rollback/")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_against_the_promotion_gate_only_with_the_scope_for_it(
    active, candidate, case, person, client_of, site
):
    boss = person("boss", role="admin", site=site)
    granted = ("model.view", "model.promote", "training.start")
    narrow, wide = client_of(boss, site, granted), client_of(boss, site, (*granted, "model.override"))
    case.comparison.delete()
    post(narrow, f"/models/{candidate.pk}/compare/", {"snapshot": str(case.snapshot.pk)})
    judge(**WORSE)
    body = {"reason": "the other one is broken", "override": True}
    refused = post(narrow, f"/models/{candidate.pk}/promote/", body)
    assert refused.json()["code"] == "promotion_gate_failed"
    assert "Macro AUC 0.60 vs 0.80" in refused.json()["detail"]
    done = post(wide, f"/models/{candidate.pk}/promote/", body)
    assert (done.status_code, done.json()["overridden"]) == (201, True)
    assert Promotion.objects.get(pk=done.json()["id"]).overridden


def test_a_comparison_reports_its_numbers_and_the_scans_that_change(admin, candidate, case):
    case.comparison.delete()
    asked = post(admin, f"/models/{candidate.pk}/compare/", {"snapshot": str(case.snapshot.pk)}).json()
    side = {"finding": "normal", "withheld": False, "p": 0.6}
    change = {"ground_truth": ["pneumonia"], "from": side, "to": {**side, "finding": None, "p": None}}
    mine, theirs = f"../ab/{case.scan.pk}/x.png", f"../ab/{factories.ScanFactory().pk}/x.png"
    judge(changes=[change | {"image": mine}, change | {"image": theirs}])
    reported = admin.get(f"{V1}/comparisons/{asked['id']}/").json()
    assert (reported["outcome"], reported["policy_number"], reported["report"]["changed"]) == ("passed", 0, 2)
    assert [one["scan"] for one in reported["changes"]] == [str(case.scan.pk), None]
    assert reported["changes"][0]["before"] == side
    listed = admin.get(f"{V1}/comparisons/?candidate={candidate.pk}").json()["results"]
    assert [one["id"] for one in listed] == [asked["id"]]


def test_the_policy_is_read_and_its_next_version_written(admin, owner, client_of, site):
    assert admin.get(f"{V1}/promotion-policies/").json()["results"] == []
    assert admin.get(f"{V1}/promotion-policies/current/").json()["number"] == 0
    made = post(admin, "/promotion-policies/", {"rules": {"min_cases": 5}, "reason": "few cases"})
    assert (made.status_code, made.json()["number"], made.json()["rules"]["min_cases"]) == (201, 1, 5)
    wrong = post(admin, "/promotion-policies/", {"rules": {"min_cases": 0}, "reason": "x"})
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["min_cases"])
    clinician = client_of(owner, site, ("model.view", "promotion_policy.edit"))
    assert post(clinician, "/promotion-policies/", {"rules": {}, "reason": "x"}).status_code == 403
    assert clinician.get(f"{V1}/promotion-policies/current/").json()["reason"] == "few cases"


def test_a_model_file_goes_in_and_comes_out_as_it_is_with_its_card(admin, tmp_path, site):
    data = factories.artifact(tmp_path / "x", seed=5).read_bytes()
    for _ in range(2):
        file = SimpleUploadedFile("model.safetensors", data)
        made = admin.post(f"{V1}/models/", {"file": file}, format="multipart")
        assert (made.status_code, made.json()["status"]) == (201, "candidate")
    version = ModelVersion.objects.get(pk=made.json()["id"])
    assert version.site == site
    out = admin.get(f"{V1}/models/{version.pk}/artifact/")
    assert b"".join(out.streaming_content) == data
    assert admin.get(f"{V1}/models/{version.pk}/card/").json() == version.card
    bad = admin.post(f"{V1}/models/", {"file": SimpleUploadedFile("x", b"no model")}, format="multipart")
    assert (bad.status_code, bad.json()["code"]) == (400, "not_an_artifact")
    storage.delete_file(version.stored_name)
    assert admin.get(f"{V1}/models/{version.pk}/artifact/").json()["code"] == "artifact_damaged"


def test_a_candidate_is_put_into_the_shadow_and_out_of_it(admin, candidate, active):
    reported = post(admin, f"/models/{candidate.pk}/shadow/", {"on": True}).json()
    assert (reported["shadow"], reported["scored"], reported["kappa"]) == (True, 0, None)
    assert admin.get(f"{V1}/models/{candidate.pk}/").json()["shadow"] is True
    assert post(admin, f"/models/{candidate.pk}/shadow/", {"on": False}).json()["shadow"] is False
    assert post(admin, f"/models/{active.pk}/shadow/", {"on": True}).json()["code"] == "conflict"
    assert post(admin, f"/models/{candidate.pk}/shadow/", {"on": 0}).json()["code"] == "invalid"


@pytest.mark.parametrize("name", ["snapshots", "training-schedules", "comparisons", "training-runs"])
def test_many_rows_cost_as_many_queries_as_one(name, admin, case, owner, site, django_assert_num_queries):
    admin.get(f"{V1}/{name}/")  # notes the token's first use
    with CaptureQueriesContext(connection) as few:
        admin.get(f"{V1}/{name}/")
    for number in range(4):
        snapshot = Snapshot.objects.create(
            site=site, slot="cxr", created_by=owner, fingerprint=f"{number}", findings=[], stored_name="x"
        )
        DataValidation.objects.create(snapshot=snapshot)
        TrainingRun.objects.create(site=site, started_by=owner, snapshot=snapshot)
        Comparison.objects.create(
            candidate=case.model, site=site, manifest_name="x", fingerprint=f"{number}", requested_by=owner
        )
    for slot in ("ct", "phantom"):
        TrainingSchedule.objects.create(site=site, slot=slot, at=case.schedule.at, created_by=owner)
    with django_assert_num_queries(len(few)):
        admin.get(f"{V1}/{name}/")
