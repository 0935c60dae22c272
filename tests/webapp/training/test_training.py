from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import get_type_hints

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from tests import factories
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.core.jobs import table as jobs
from webapp.registry.models import ModelStatus, ModelVersion
from webapp.training import selectors, services
from webapp.training.failures import FAILURES
from webapp.training.management.commands import train_model
from webapp.training.models import TrainingRun
from webapp.training.options import OPTIONS, data_set_manifest
from webapp.training.services import (
    HeartbeatReply,
    training_cancel,
    training_claim,
    training_done,
    training_progress,
    training_start,
)

pytestmark = pytest.mark.django_db

MANIFEST = "/srv/images/manifest.csv"


@pytest.fixture
def admin(person, site):
    return person("admin", role="admin", site=site)


@pytest.fixture
def woken(monkeypatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(services, "notify_workers", names.append)
    return names


@pytest.fixture
def start(admin, site):
    def make(*, actor=admin, site=site, manifest=MANIFEST, **config) -> TrainingRun:
        return training_start(site=site, actor=actor, manifest=manifest, config=config)

    return make


def code_of(call, *args, **kwargs) -> str:
    with pytest.raises(CodedError) as caught:
        call(*args, **kwargs)
    return caught.value.code


def test_a_run_waits_with_its_options_and_leaves_a_trace(start, admin, woken):
    run = start(seed=7, epochs=3, layers="1,1,1,1", progressive=False)
    assert (run.status, run.seed, run.started_by) == ("queued", 7, admin)
    assert run.config == {"epochs": 3, "layers": "1,1,1,1", "progressive": False}
    assert woken == ["train"]
    event = AuditEvent.objects.get(action="training.started")
    assert (event.actor, event.site) == (admin, run.site)
    assert MANIFEST not in str(event.detail)


def test_only_who_may_train_starts_and_cancels_and_only_at_their_site(start, owner, person, other_site, site):
    far = person("far", role="admin", site=other_site)
    for user in (owner, far, person("nobody")):
        assert code_of(start, actor=user) == "forbidden"
    assert code_of(start, actor=owner, site=None) == "forbidden"
    run = start()
    for user in (owner, far):
        assert code_of(training_cancel, run=run, actor=user) == "forbidden"
    assert start(actor=far, site=None).site is None


def test_a_run_is_seen_at_its_site_and_a_global_one_by_everybody_but_outsiders(
    start, owner, outsider, person
):
    ours, everyones = start(), start(site=None)
    assert list(selectors.runs_visible(owner)) == [everyones, ours]
    assert list(selectors.runs_visible(outsider)) == [everyones]
    assert not selectors.runs_visible(person("nobody")).exists()
    assert selectors.run_or_404(owner, ours.pk) == ours
    assert code_of(selectors.run_or_404, outsider, ours.pk) == "not_found"


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("manifest", {"manifest": "images/manifest.csv"}),
        ("manifest", {"manifest": "/srv/a\nb.csv"}),
        ("seed", {"seed": "7"}),
        ("seed", {"seed": -1}),
        ("--out", {"--out": "/etc"}),
        ("lr", {"lr": float("nan")}),
        ("epochs", {"epochs": {"a": 1}}),
        ("name", {"name": "x" * 501}),
        ("about", {"about": "/etc/passwd"}),
        ("pretrained", {"pretrained": "/var/lib/hilum/media/ab/x"}),
        ("teacher", {"teacher": "/etc/passwd"}),
        ("boxes", {"boxes": "/etc/passwd"}),
        ("other_abnormality", {"other_abnormality": "/etc/passwd"}),
        ("cache", {"cache": "/tmp"}),
        ("validation", {"validation": "/etc/passwd"}),
    ],
)
def test_what_is_no_option_at_all_is_refused_before_it_waits(start, field, asked):
    with pytest.raises(CodedError) as caught:
        start(**asked)
    assert caught.value.code == "invalid"
    assert list(caught.value.fields) == [field]
    assert not TrainingRun.objects.exists()


def test_a_claimed_run_knows_the_code_that_trains_it_and_is_nobody_elses(start):
    first, second = start(), start()
    claimed = training_claim(code_version="abc123")
    assert (claimed.pk, claimed.status, claimed.code_version) == (first.pk, "running", "abc123")
    assert training_claim().pk == second.pk
    assert training_claim() is None


def test_the_heartbeat_keeps_the_progress_and_the_lease(start):
    start()
    run = training_claim(lease=timedelta(seconds=1))
    lease = run.lease_expires_at
    order = training_progress(run=run, progress={"progress": 0.5, "loss": 0.7})
    run.refresh_from_db()
    assert order is HeartbeatReply.CONTINUE
    assert run.progress == {"progress": 0.5, "loss": 0.7}
    assert run.percent == 50
    assert run.lease_expires_at > lease + timedelta(seconds=10)


def test_a_run_that_lost_its_lease_reports_its_old_worker_so(start):
    start()
    late = training_claim(lease=timedelta(seconds=-1))
    again = training_claim()
    assert again.pk == late.pk
    assert again.attempts == 2
    order = training_progress(run=late, progress={"progress": 0.9})
    assert order is HeartbeatReply.LEASE_LOST
    assert not late.fail("training_crashed")
    again.refresh_from_db()
    assert (again.status, again.progress) == ("running", {})


def test_a_run_that_loses_every_worker_is_given_up_and_states_so(start):
    start()
    for _ in range(TrainingRun.TRANSITIONS.max_attempts):
        assert training_claim(lease=timedelta(seconds=-1))
    assert training_claim() is None
    run = TrainingRun.objects.get()
    assert (run.status, run.error_code) == ("failed", "gave_up")
    assert "repeatedly" in run.failure.message


def test_a_finished_run_has_a_candidate_and_the_active_model_stays(start, admin, tmp_path):
    active = factories.ModelVersionFactory()
    run = start() and training_claim()
    artifact = factories.artifact(tmp_path / "new.safetensors")
    version = training_done(run=run, artifact=artifact)
    run.refresh_from_db()
    active.refresh_from_db()
    assert (run.status, run.candidate, run.percent) == ("done", version, 100)
    assert (version.status, version.site, version.registered_by) == (ModelStatus.CANDIDATE, run.site, admin)
    assert list(ModelVersion.objects.filter(status=ModelStatus.ACTIVE)) == [active]
    detail = AuditEvent.objects.get(action="training.done").detail
    assert detail == {"candidate": str(version.pk)}


def test_finishing_twice_does_nothing_the_second_time(start, tmp_path):
    run = start() and training_claim()
    artifact = factories.artifact(tmp_path / "new.safetensors")
    assert training_done(run=run, artifact=artifact)
    before = TrainingRun.objects.values().get()
    assert training_done(run=run, artifact=artifact) is None
    assert not run.fail("training_crashed")
    assert TrainingRun.objects.values().get() == before
    assert AuditEvent.objects.filter(action__startswith="training.").count() == 2


def test_a_late_worker_registers_nothing(start, tmp_path):
    start()
    late = training_claim(lease=timedelta(seconds=-1))
    training_claim()
    artifact = factories.artifact(tmp_path / "late.safetensors")
    assert training_done(run=late, artifact=artifact) is None
    assert not ModelVersion.objects.exists()


def test_an_artifact_that_is_none_fails_the_run(start, tmp_path):
    run = start() and training_claim()
    (tmp_path / "x").write_bytes(b"no model at all")
    assert training_done(run=run, artifact=tmp_path / "x") is None
    run.refresh_from_db()
    assert (run.status, run.error_code, run.candidate) == ("failed", "artifact_refused", None)


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_by_its_worker(start, admin):
    waiting = training_cancel(run=start(), actor=admin)
    assert (waiting.status, waiting.finished) == ("cancelled", True)
    run = start() and training_claim()
    assert training_cancel(run=run, actor=admin).status == "running"
    assert training_progress(run=run, progress={}) is HeartbeatReply.CANCEL
    assert run.finish("cancelled")
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert code_of(training_cancel, run=run, actor=admin) == "conflict"
    assert AuditEvent.objects.filter(action="training.cancelled", actor=admin).count() == 2


def test_a_run_that_is_handed_back_waits_again_and_has_lost_no_attempt(start):
    run = start() and training_claim()
    assert run.release() == 1
    again = training_claim()
    assert (again.pk, again.attempts) == (run.pk, 1)


def test_the_database_wants_a_candidate_of_a_finished_run_and_of_no_other(start):
    run = start()
    with pytest.raises(IntegrityError), transaction.atomic():
        TrainingRun.objects.filter(pk=run.pk).update(status="done")
    with pytest.raises(IntegrityError), transaction.atomic():
        TrainingRun.objects.filter(pk=run.pk).update(candidate=factories.ModelVersionFactory())


def test_a_run_moves_only_as_its_table_states(start):
    run = start()
    run.status = "done"
    with pytest.raises(jobs.IllegalTransition):
        run.save()


def test_every_failure_states_what_to_do():
    assert all(message and remedy for message, remedy in FAILURES.values())


def test_the_command_queues_a_run_for_a_named_person(admin, site, tmp_path, capsys, woken):
    (tmp_path / "manifest.csv").touch()
    command = ["train_model", f"--manifest={tmp_path / 'manifest.csv'}", "--by=admin"]
    call_command(
        *command, "--set=epochs=3", "--set=layers=1,1,1,1", "--set=progressive=false", "--set=seed=5"
    )
    run = TrainingRun.objects.get()
    assert (run.site, run.seed, run.manifest) == (site, 5, str(tmp_path / "manifest.csv"))
    assert run.config == {"epochs": 3, "layers": "1,1,1,1", "progressive": False}
    assert str(run.pk) in capsys.readouterr().out
    call_command(*command, "--everywhere")
    assert TrainingRun.objects.filter(site=None).exists()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"--by": "nobody"}, "no user"),
        ({"--by": "owner"}, "does not permit"),
        ({"--manifest": "/nowhere.csv"}, "no file"),
        ({"--set": "epochs"}, "NAME=VALUE"),
        ({"--set": "Epochs=3"}, "no such option"),
    ],
)
def test_the_command_states_what_is_wrong(admin, owner, tmp_path, changes, text):
    (tmp_path / "manifest.csv").touch()
    asked = {"--manifest": str(tmp_path / "manifest.csv"), "--by": "admin"} | changes
    with pytest.raises(CommandError, match=text):
        call_command("train_model", *[f"{name}={value}" for name, value in asked.items()])
    assert not TrainingRun.objects.exists()


def test_who_waits_is_reported_each_step_and_how_it_ended(admin, tmp_path, monkeypatch, capsys):
    manifest = tmp_path / "manifest.csv"
    manifest.touch()
    ends = iter(["done", "failed"])

    def worker(_seconds: float) -> None:
        run = training_claim()
        if next(ends) == "failed":
            run.fail("data_refused")
            return
        training_progress(run=run, progress={"progress": 0.3})
        training_done(run=run, artifact=factories.artifact(tmp_path / "new.safetensors"))

    monkeypatch.setattr(train_model.time, "sleep", worker)
    command = ["train_model", f"--manifest={manifest}", "--by=admin", "--wait"]
    call_command(*command)
    text = capsys.readouterr().out
    assert "queued 0 %" in text
    assert "cxr-1 is a candidate now" in text
    with pytest.raises(CommandError, match="data_refused"):
        call_command(*command)


def test_the_models_page_lists_runs_at_a_fixed_price(
    start, owner, client, django_assert_num_queries, django_assert_max_num_queries
):
    client.force_login(owner)
    failed = start() and training_claim()
    failed.fail("manifest_missing")
    running = start() and training_claim()
    training_progress(run=running, progress={"progress": 0.42})
    page = client.get("/models/").content.decode()
    assert "Running 42 %" in page
    assert "Manifest not found." in page
    assert MANIFEST not in page
    with django_assert_max_num_queries(11) as few:
        client.get("/models/")
    for _ in range(4):
        start()
    with django_assert_num_queries(len(few)):
        client.get("/models/")


def test_a_finished_run_links_to_its_candidate_and_outsiders_see_no_run(
    start, owner, outsider, client, tmp_path
):
    run = start() and training_claim()
    artifact = factories.artifact(tmp_path / "new.safetensors")
    version = training_done(run=run, artifact=artifact)
    client.force_login(owner)
    page = client.get("/models/").content.decode()
    assert f'href="/models/{version.pk}/">cxr-1</a>' in page
    assert f"/training/runs/{run.pk}/" in page
    client.force_login(outsider)
    assert f"/training/runs/{run.pk}/" not in client.get("/models/").content.decode()


def test_every_option_without_a_path_may_be_set_and_none_with_one():
    from classifier.training.config import Config

    kinds = get_type_hints(Config)
    paths = {one.name for one in fields(Config) if "Path" in str(kinds[one.name])}
    known = {one.name for one in fields(Config) if one.metadata}
    assert known - paths - OPTIONS == {"json", "resume", "seed", "slot"}
    assert known - paths >= OPTIONS


@pytest.fixture
def data_sets(settings, tmp_path):
    (tmp_path / "sets" / "chest").mkdir(parents=True)
    (tmp_path / "sets" / "chest" / "manifest.csv").touch()
    (tmp_path / "secret.csv").touch()
    (tmp_path / "sets" / "link.csv").symlink_to(tmp_path / "secret.csv")
    settings.HILUM_DATA_SETS = [str(tmp_path / "sets")]
    return tmp_path / "sets"


def test_a_data_set_is_named_below_the_folders_of_the_settings(data_sets):
    assert data_set_manifest("chest/manifest.csv") == str(data_sets / "chest" / "manifest.csv")
    assert data_set_manifest("") == ""


@pytest.mark.parametrize(
    "name",
    [
        *("absent.csv", "../secret.csv", "chest/../../secret.csv", "link.csv", "/etc/passwd", "chest"),
        *(
            "{root}/secret.csv",
            "./chest/manifest.csv",
            "chest//manifest.csv",
            "chest/manifest.csv\0",
            "\ud800.csv",
        ),
    ],
)
def test_any_other_file_looks_the_same_whether_or_not_it_is_there(data_sets, name):
    with pytest.raises(CodedError) as refused:
        data_set_manifest(name.format(root=data_sets.parent))
    assert refused.value.fields == {"data_set": ["There is no data set with this name."]}
