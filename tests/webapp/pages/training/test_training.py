"""The pages of the loop: training, a run as it goes on, snapshots, the gate, a candidate's page."""

from __future__ import annotations

import hashlib
from datetime import time
from types import SimpleNamespace

import pytest
from django.urls import reverse

from classifier.data.split import PARTS
from tests import factories
from tests.webapp.registry.test_promotion_gate import WORSE, report
from webapp.core import storage
from webapp.registry.comparisons import comparison_done, comparison_request
from webapp.registry.models import Comparison, ModelVersion, PromotionPolicy
from webapp.registry.selectors import active_models
from webapp.registry.services import model_register, shadow_set
from webapp.training.models import DataValidation, Snapshot, TrainingRun, TrainingSchedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(person, site):
    return person("boss", role="admin", site=site)


@pytest.fixture
def admin(browser, boss):
    return browser(boss)


@pytest.fixture
def loop(site, boss, tmp_path, case):
    """A snapshot with warnings, a run in its third epoch, an active model and a candidate of the site."""
    active = factories.make_active(model_register(factories.artifact(tmp_path / "a", seed=1), by=boss))
    candidate = model_register(factories.artifact(tmp_path / "b", seed=2), by=boss, site=site)
    snapshot = Snapshot.objects.create(
        site=site, slot="cxr", created_by=boss, fingerprint=factories.digest("s"), findings=["normal"],
        stored_name=f"snapshots/{case.scan.pk}.csv",
        counts={"images": 30, "patients": 20, "left_out": {"unsettled": 3}, "parts": {
            part: {"images": 10, "patients": 7, "findings": {"normal": 10}} for part in PARTS
        }},
    )  # fmt: skip
    warning = {
        "severity": "high",
        "code": "x",
        "text": "The source reveals the finding.",
        "advice": "Mix them.",
    }
    DataValidation.objects.create(snapshot=snapshot, status="done", warnings=[warning])
    run = TrainingRun.objects.create(
        site=site, started_by=boss, snapshot=snapshot, status="queued", options={"epochs": 9},
        progress={"epoch": 3, "progress": 0.3, "minutes": 6.0, "loss": 0.5},
        curve=[{"epoch": 3, "loss": 0.5}], log=["epoch: epoch 3"],
    )  # fmt: skip
    return SimpleNamespace(active=active, candidate=candidate, snapshot=snapshot, run=run)


def judged(loop, **changes) -> None:
    comparison_request(
        candidate=loop.candidate, manifest_name=loop.snapshot.stored_name, fingerprint="f", site=None
    )
    row = next(iter(Comparison.objects.claim()), None)
    found = {"cases": 40, "patients": 30, "compared": 40, **report(changes=[]), **changes}
    found["not_withheld"] = found["all"]
    for values in found["all"]["overall"], *found["all"]["findings"].values():
        for name in ("brier", "reported_right"):
            values.setdefault(name, found["all"]["overall"]["macro_auc"])
    assert comparison_done(comparison=row, report=found)


def text(client, name: str, *keys) -> str:
    response = client.get(reverse(f"pages:{name}", args=keys))
    assert response.status_code == 200
    return response.content.decode()


def test_the_runs_page_reports_first_what_the_audit_warned_of_then_how_far_it_is(loop, admin):
    page = text(admin, "run", loop.run.pk)
    order = [
        "The source reveals the finding.",
        "epoch 3 of 9",
        "loss 0.500",
        "Balanced accuracy",
        "Configuration",
    ]
    places = [page.index(words) for words in order]
    assert places == sorted(places)
    assert '"loss": 0.5' in page
    state = text(admin, "run_state", loop.run.pk)
    assert "<html" not in state
    assert "data-settled" not in state
    TrainingRun.objects.filter(pk=loop.run.pk).update(status="cancelled")
    assert "data-settled" in text(admin, "run_state", loop.run.pk)


def test_who_may_train_starts_and_cancels_and_nobody_else(loop, admin, browser, owner):
    start = reverse("pages:training_start")
    clinician = browser(owner)
    assert start not in text(clinician, "training")
    assert clinician.post(start).status_code == 403
    response = admin.post(
        start, {"snapshot": loop.snapshot.pk, "start": "scratch", "epochs": "2", "lr": "0.001"}
    )
    run = TrainingRun.objects.latest("created_at")
    assert response.url == reverse("pages:run", args=[run.pk])
    assert (run.snapshot, run.start, run.config) == (loop.snapshot, "scratch", {"epochs": 2, "lr": 0.001})
    again = admin.post(
        start, {"snapshot": loop.snapshot.pk, "start": "scratch", "epochs": "2", "lr": "0.001"}, follow=True
    )
    assert "The data have not changed since the last training" in again.content.decode()
    cancel = reverse("pages:run_cancel", args=[run.pk])
    assert clinician.post(cancel).status_code == 403
    admin.post(cancel)
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_an_outsider_finds_neither_run_nor_snapshot(loop, browser, person, other_site):
    far = browser(person("far", role="admin", site=other_site))
    for name, key in (
        ("run", loop.run.pk), ("run_state", loop.run.pk), ("snapshot", loop.snapshot.pk),
        ("snapshot_manifest", loop.snapshot.pk), ("model", loop.candidate.pk),
        ("model_artifact", loop.candidate.pk), ("model_card", loop.candidate.pk),
    ):  # fmt: skip
        assert far.get(reverse(f"pages:{name}", args=[key])).status_code == 404
    for name in ("model_compare", "model_shadow", "model_rollback"):
        assert far.post(reverse(f"pages:{name}", args=[loop.candidate.pk])).status_code == 404
    assert far.post(reverse("pages:run_cancel", args=[loop.run.pk])).status_code == 404


def test_freezing_reports_when_nothing_is_labelled_and_shows_what_was_in_the_snapshot(loop, admin, site):
    freeze = reverse("pages:snapshot_create")
    assert "abelled scan" in admin.post(freeze, {"slot": "cxr"}, follow=True).content.decode()
    for finding in ("pneumonia", "normal"):
        for _ in range(4):
            factories.LabelFactory(scan=factories.ScanFactory(site=site), findings={finding: "present"})
    page = admin.post(freeze, {"slot": "cxr"}, follow=True).content.decode()
    assert "8 of 8 patients" in page
    assert "Training starts after it" in page
    again = admin.post(freeze, {"slot": "cxr"}, follow=True).content.decode()
    assert "have not changed" in again
    made = Snapshot.objects.latest("created_at")
    response = admin.get(reverse("pages:snapshot_manifest", args=[made.pk]))
    assert b"".join(response.streaming_content).startswith(b"image,finding,patient")


def test_a_file_that_the_store_has_no_more_is_reported_in_words(loop, admin):
    storage.path_of(loop.candidate.stored_name).unlink()
    for name, key in (("snapshot_manifest", loop.snapshot.pk), ("model_artifact", loop.candidate.pk)):
        response = admin.get(reverse(f"pages:{name}", args=[key]))
        assert response.status_code == 503
        assert "is missing from the store" in response.content.decode()


def test_a_schedule_is_written_and_deleted_on_the_page(loop, admin, browser, owner):
    stated = {"slot": "cxr", "cadence": "weekly", "weekday": "2", "day": "1", "at": "03:30", "enabled": "on",
            "new_labels": "50", "start": "active"}  # fmt: skip
    assert browser(owner).post(reverse("pages:schedule_save"), stated).status_code == 403
    page = admin.post(reverse("pages:schedule_save"), stated, follow=True).content.decode()
    schedule = TrainingSchedule.objects.get()
    assert (schedule.cadence, schedule.weekday, schedule.at, schedule.new_labels) == (
        "weekly",
        2,
        time(3, 30),
        50,
    )
    assert (schedule.on_drift, schedule.enabled) == (False, True)
    assert "weekly at 03:30" in page
    admin.post(reverse("pages:schedule_save"), stated | {"new_labels": ""})
    schedule.refresh_from_db()
    assert schedule.new_labels is None
    assert admin.post(reverse("pages:schedule_remove", args=[schedule.pk])).status_code == 302
    assert not TrainingSchedule.objects.exists()


def test_a_candidates_page_gives_the_verdict_in_sentences_before_the_button(loop, admin, browser, owner):
    page = text(admin, "model", loop.candidate.pk)
    assert "Not compared" in page
    assert 'name="override"' in page, "it was not judged"
    judged(loop)
    page = text(admin, "model", loop.candidate.pk)
    order = ["Promotion gate: passed", "Macro AUC", "0.82 (0.81 to 0.83)", "+0.02", "Promote "]
    places = [page.index(words) for words in order]
    assert places == sorted(places)
    assert 'name="override"' not in page
    assert "Promote " not in text(browser(owner), "model", loop.candidate.pk)


def test_against_the_promotion_gate_only_with_a_tick_a_reason_and_the_permission(loop, admin, boss):
    judged(loop, **WORSE)
    page = text(admin, "model", loop.candidate.pk)
    assert "Promotion gate: failed" in page
    assert "Macro AUC 0.60 vs 0.80" in page
    promote = reverse("pages:model_promote", args=[loop.candidate.pk])
    refused = admin.post(promote, {"reason": "because"}, follow=True).content.decode()
    assert "This candidate failed the promotion gate" in refused
    assert active_models()["cxr"] == loop.active
    page = admin.post(promote, {"reason": "the other one is broken", "override": "on"}, follow=True)
    assert active_models()["cxr"] == loop.candidate
    assert '<span class="tag">override<' in page.content.decode()
    role = boss.memberships.get().role
    role.permissions = [one for one in role.permissions if one != "model.override"]
    role.save()
    candidate = factories.ModelVersionFactory(status="candidate", number=900)
    assert "You do not have permission to override it" in text(admin, "model", candidate.pk)


def test_a_rollback_is_one_click_on_the_active_models_page(loop, admin, browser, owner):
    judged(loop)
    admin.post(reverse("pages:model_promote", args=[loop.candidate.pk]), {"reason": "better"})
    rollback = reverse("pages:model_rollback", args=[loop.candidate.pk])
    assert rollback in text(admin, "model", loop.candidate.pk)
    assert rollback not in text(browser(owner), "model", loop.candidate.pk)
    assert browser(owner).post(rollback).status_code == 403
    page = admin.post(rollback, follow=True).content.decode()
    assert f"{loop.active} is now the active model" in page
    assert active_models()["cxr"] == loop.active


def test_the_scans_that_change_are_linked_for_those_who_may_see_them(loop, admin, case):
    change = {
        "image": f"../ab/{case.scan.pk}/x-working.png", "ground_truth": ["pneumonia"],
        "from": {"finding": "normal", "withheld": False, "p": 0.6},
        "to": {"finding": None, "withheld": True, "p": None},
    }  # fmt: skip
    judged(loop, changes=[change, change | {"image": f"../ab/{factories.ScanFactory().pk}/x.png"}])
    page = text(admin, "model", loop.candidate.pk)
    assert page.count(reverse("pages:scan", args=[case.scan.pk])) == 1
    assert "no access" in page
    assert "none above its threshold (withheld)" in page


def test_the_shadow_is_begun_and_ended_and_only_its_agreement_is_shown(loop, admin, boss):
    where = reverse("pages:model_shadow", args=[loop.candidate.pk])
    assert where in text(admin, "model", loop.candidate.pk)
    page = admin.post(where, {"on": "1"}, follow=True).content.decode()
    assert "not shown to readers" in page
    assert ModelVersion.objects.get(pk=loop.candidate.pk).shadow
    shadow_set(model_version=loop.candidate, on=False, by=boss)


def test_a_comparison_is_asked_for_on_a_snapshot(loop, admin):
    where = reverse("pages:model_compare", args=[loop.candidate.pk])
    page = admin.post(where, {"snapshot": loop.snapshot.pk}, follow=True).content.decode()
    assert "Comparing candidate and active model" in page
    assert loop.candidate.comparisons.get().fingerprint == loop.snapshot.fingerprint
    assert admin.post(where, {"snapshot": "x"}).status_code == 404


def test_model_file_and_card_are_downloaded_and_a_file_is_imported(loop, admin, browser, owner, tmp_path):
    file = admin.get(reverse("pages:model_artifact", args=[loop.candidate.pk]))
    assert b"".join(file.streaming_content) == storage.path_of(loop.candidate.stored_name).read_bytes()
    card = admin.get(reverse("pages:model_card", args=[loop.candidate.pk])).json()
    assert card["sha256"] == loop.candidate.sha256
    where = reverse("pages:model_import")
    data = factories.artifact(tmp_path / "elsewhere", seed=9).read_bytes()
    send = {"data": data, "content_type": "application/octet-stream"}
    assert browser(owner).post(where, **send).status_code == 403
    reported = admin.post(where, **send).json()
    made = ModelVersion.objects.get(sha256=hashlib.sha256(data).hexdigest())
    assert reported == {"name": str(made), "href": reverse("pages:model", args=[made.pk])}
    assert (made.status, made.site.slug) == ("candidate", "st-anna")
    bad = admin.post(where, data=b"no model", content_type="application/octet-stream")
    assert (bad.status_code, bad.json()["code"]) == (400, "not_an_artifact")


def test_the_policy_is_shown_to_all_and_written_by_who_may_with_a_reason(loop, admin, browser, owner):
    clinician, where = browser(owner), reverse("pages:promotion_policy")
    assert "Policy 0 (default) is active" in text(clinician, "promotion_policy")
    assert clinician.post(where, {"reason": "x"}).status_code == 403
    assert "A reason is required" in admin.post(where, {"min_cases": "5"}, follow=True).content.decode()
    wrong = admin.post(where, {"min_cases": "0", "reason": "x"}, follow=True).content.decode()
    assert "Must be a whole number from 1" in wrong
    wrong = admin.post(where, {"min_cases": "a", "reason": "x"}, follow=True).content.decode()
    assert "Every value must be a number" in wrong
    page = admin.post(where, {"min_cases": "5", "reason": "few cases here"}, follow=True).content.decode()
    assert "Policy 1 saved" in page
    assert "few cases here" in page
    assert PromotionPolicy.objects.get().rules["min_cases"] == 5


def test_many_runs_and_snapshots_cost_as_many_queries_as_one(
    loop, admin, boss, site, django_assert_max_num_queries, django_assert_num_queries
):
    with django_assert_max_num_queries(15) as few:
        text(admin, "training")
    for number in range(5):
        snapshot = Snapshot.objects.create(
            site=site, slot="cxr", created_by=boss, fingerprint=f"{number}", findings=[], stored_name="x",
            counts=loop.snapshot.counts,
        )  # fmt: skip
        DataValidation.objects.create(snapshot=snapshot)
        TrainingRun.objects.create(site=site, started_by=boss, snapshot=snapshot)
    with django_assert_num_queries(len(few)):
        text(admin, "training")
