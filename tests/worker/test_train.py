from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings as django_settings
from django.db import connection

from tests.classifier.collection import write_collection
from tests.worker.conftest import tiny_artifact
from webapp.accounts.models import Role
from webapp.accounts.services import membership_set
from webapp.registry.models import ModelStatus, ModelVersion
from webapp.registry.selectors import artifact_path
from webapp.registry.services import models_install
from webapp.training.models import TrainingRun
from webapp.training.services import training_cancel, training_start
from worker.jobs import train
from worker.jobs.train import TrainJob, argument, arguments, unknown_options, validation_of
from worker.runner import Unavailable
from worker.subprocess import classifier_process, supervise
from worker.subprocess.classifier_process import environment
from worker.support.scratch import work_folder

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 60.0
TINY = {
    "layers": "1,1,1,1", "width": 8, "size": 32, "batch": 8, "epochs": 1, "progressive": False,
    "device": "cpu", "threads": 1, "name": "tiny",
}  # fmt: skip


@pytest.fixture
def admin(person, site):
    user = person("admin")
    # The roles that a migration brings are gone after the first test that really commits.
    role, _ = Role.objects.get_or_create(name="admin", defaults={"permissions": ["training.start"]})
    membership_set(user=user, site=site, role=role)
    return user


@pytest.fixture
def start(admin, site, tmp_path):
    def make(*, manifest: Path | None = None, **config) -> TrainingRun:
        manifest = manifest or tmp_path / "manifest.csv"
        manifest.touch()
        return training_start(site=site, actor=admin, manifest=str(manifest), config=config)

    return make


@pytest.fixture
def instead(monkeypatch, tmp_path):
    """Lets the worker run this program in place of the training; quick to look, slow to nothing."""
    monkeypatch.setattr(supervise, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(supervise, "BEAT_SECONDS", 0.0)

    def write(program: str) -> None:
        (tmp_path / "stand_in.py").write_text("import json, os, sys, time\n" + program)
        known = environment() | {"PYTHONPATH": f"{django_settings.BASE_DIR}{os.pathsep}{tmp_path}"}
        monkeypatch.setattr(classifier_process, "environment", lambda: known)
        monkeypatch.setattr(classifier_process, "PROGRAM", "stand_in")

    return write


def outcome(run: TrainingRun) -> tuple[str, str]:
    run.refresh_from_db()
    return run.status, run.error_code


def in_use(run: TrainingRun) -> bool:
    """Whether a training still works in the run's folder: it holds the lock as long as it lives."""
    return locked(work_folder(str(run.id)) / "lock")


def locked(path: Path) -> bool:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def wait_until(true, seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def epochs_of(run: TrainingRun) -> list[int]:
    log = work_folder(str(run.id)) / "log.jsonl"
    lines = map(json.loads, log.read_text().splitlines()) if log.exists() else ()
    return [line["epoch"] for line in lines if line["event"] == "epoch"]


def test_without_a_run_there_is_nothing_to_do():
    assert TrainJob().step() is False


def test_a_missing_manifest_fails_with_its_code(start, tmp_path):
    run = start()
    (tmp_path / "manifest.csv").unlink()
    assert TrainJob().step() is True
    assert outcome(run) == ("failed", "manifest_missing")


def test_an_option_that_the_training_does_not_know_fails_before_it_starts(start):
    run = start()
    TrainingRun.objects.filter(pk=run.pk).update(config={"epocs": 3})
    TrainJob().step()
    assert outcome(run) == ("failed", "options_invalid")
    assert not work_folder(str(run.id)).joinpath("stderr.log").exists()


@pytest.mark.parametrize("name", ["out", "manifest", "cache", "json", "resume", "epoch"])
def test_what_the_run_itself_decides_is_no_option(name):
    assert unknown_options({name: "x", "epochs": 3, "progressive": True}) == {name}


def test_options_become_arguments_of_which_none_can_pass_for_another(start, settings):
    settings.HILUM_DEVICE = "cuda"
    run = start(epochs=3, name="--out=/etc", layers=[1, 1], progressive=False, seed=4)
    stated = arguments(run, Path("/data/run"))
    assert stated[:2] == ["train", f"--manifest={run.manifest}"]
    expected = {"--name=--out=/etc", "--layers=1,1", "--no-progressive", "--seed=4", "--device=cuda"}
    assert expected | {"--out=/data/run", "--resume", "--json"} <= set(stated)
    assert argument("label_smoothing", 0.1) == "--label-smoothing=0.1"


def test_promotion_gate_and_segmenter_come_from_the_active_model_of_the_slot(start, tmp_path):
    assert not [word for word in arguments(start(), Path("/data/run")) if word.startswith("--auxiliary")]
    [(version, _)] = models_install([tiny_artifact(tmp_path / "active.safetensors")])
    assert f"--auxiliary={artifact_path(version)}" in arguments(start(seed=1), Path("/data/run"))
    other_slot = arguments(start(slot="ct", seed=2), Path("/data/run"))
    assert not [word for word in other_slot if word.startswith("--auxiliary")]


def test_the_size_of_a_fine_tuning_is_the_runs_and_its_network_that_of_the_base(start, tmp_path):
    [(version, _)] = models_install([tiny_artifact(tmp_path / "active.safetensors")])
    run = start(size=96)
    run.base = version
    words = arguments(run, Path("/data/run"))
    assert "--size=96" in words
    assert f"--width={version.model_spec.width}" in words
    assert f"--pretrained={artifact_path(version)}" in words


def test_a_validated_snapshot_is_not_validated_again(start, tmp_path):
    done = SimpleNamespace(status="done", warnings=[{"code": "tiny_finding"}])
    run = SimpleNamespace(config={}, snapshot=SimpleNamespace(validation=done, counts={"images": 7}))
    given = validation_of(run, tmp_path)
    assert json.loads(given["validation"].read_text()) == {"images": 7, "warnings": done.warnings}
    assert validation_of(SimpleNamespace(config={"where": "sex=F"}, snapshot=run.snapshot), tmp_path) == {}
    assert validation_of(SimpleNamespace(config={}, snapshot=None), tmp_path) == {}


def test_the_training_knows_no_secret_and_no_database(monkeypatch, start, instead):
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "HILUM_DEMO_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "a-secret")
    assert "a-secret" not in environment().values()
    instead("print(os.environ.get('DATABASE_URL'), os.nice(0), file=sys.stderr)\nsys.exit(2)")
    run = start()
    TrainJob().step()
    assert (work_folder(str(run.id)) / "stderr.log").read_text() == f"None {min(os.nice(0) + 10, 19)}\n"


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("sys.exit(2)", "options_invalid"),
        ("print('training failed: line 3', file=sys.stderr); sys.exit(1)", "data_refused"),
        ("raise ZeroDivisionError('DOE^JOHN')", "training_crashed"),
        ("raise type('OutOfMemoryError', (Exception,), {})", "out_of_memory"),
        ("os.kill(os.getpid(), 9)", "out_of_memory"),
        ("pass", "training_crashed"),
    ],
)
def test_however_a_training_ends_it_gets_a_code_and_its_words_stay_in_its_folder(
    start, instead, caplog, ending, code
):
    instead(ending)
    run = start()
    TrainJob().step()
    assert outcome(run) == ("failed", code)
    assert "DOE" not in caplog.text
    assert not in_use(run)


def test_what_the_training_states_becomes_the_runs_progress(start, instead):
    instead(
        """
print("a library's word")
print('{"event": "data", "train": 28, "refused": {"DOE.png": "undecodable"}}')
print('{"event": "epoch", "epoch": 1, "progress": 0.25, "val_loss": 0.6, "loss": 0.5}')
print(json.dumps({"event": "epoch", "epoch": 2, "progress": 0.5, "loss": float("nan")}), flush=True)
time.sleep(1)
sys.exit(2)
"""
    )
    run = start()
    TrainJob().step()
    run.refresh_from_db()
    assert run.progress == {"train": 28, "epoch": 2, "progress": 0.5, "loss": 0.5, "val_loss": 0.6}
    assert run.code_version


def test_a_cancelled_run_ends_with_everything_that_it_started(start, instead, admin, monkeypatch):
    instead(
        """
import subprocess
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
print('{"event": "data", "train": 1}', flush=True)
time.sleep(600)
"""
    )
    run = start()
    beats = []

    def beat_then_cancel(run, process, options):
        beats.append(process.progress)
        if process.progress and not run.cancel_requested:
            training_cancel(run=run, actor=admin)
        return real_beat(run, process, options)

    real_beat = train.beat
    monkeypatch.setattr(train, "beat", beat_then_cancel)
    TrainJob().step()
    assert outcome(run) == ("cancelled", "")
    assert wait_until(lambda: not in_use(run))


def test_a_run_that_was_cancelled_while_its_worker_was_away_is_not_begun_again(start, admin):
    run = start()
    TrainingRun.objects.filter(pk=run.pk).update(cancel_requested=True)
    TrainJob().step()
    assert outcome(run) == ("cancelled", "")
    assert not (work_folder(str(run.id)) / "lock").exists()


def test_a_worker_that_shuts_down_hands_its_run_back(start, instead):
    instead("time.sleep(600)")
    run = start()
    job = TrainJob()
    job.interrupt()
    job.step()
    assert outcome(run) == ("queued", "")
    assert run.attempts == 0
    assert not in_use(run)


def test_a_worker_that_lost_its_run_ends_the_training_and_touches_nothing(start, instead, monkeypatch):
    instead("time.sleep(600)")
    run = start()
    monkeypatch.setattr(train, "beat", lambda run, process, options: train.HeartbeatReply.LEASE_LOST)
    TrainJob().step()
    assert outcome(run) == ("running", "")
    assert not in_use(run)


def test_a_training_that_states_nothing_for_too_long_is_ended(start, instead, monkeypatch):
    instead("time.sleep(600)")
    monkeypatch.setattr(supervise, "SILENCE_SECONDS", 0.3)
    run = start()
    TrainJob().step()
    assert outcome(run) == ("failed", "training_silent")
    assert not in_use(run)


def test_two_trainings_never_work_in_one_folder(start, instead):
    instead("sys.exit(2)")
    run = start()
    with (work_folder(str(run.id)) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Unavailable):
            TrainJob().step()
    assert outcome(run) == ("queued", "")


def test_a_training_does_not_outlive_a_worker_that_is_killed(tmp_path, instead, start):
    """The worker is played by a process that the watchdog observes and is killed."""
    (tmp_path / "endless.py").write_text("import time\nprint('{}', flush=True)\ntime.sleep(600)")
    lock = tmp_path / "lock"
    holder = f"""
import fcntl, subprocess, sys
lock = open({str(lock)!r}, "w")
fcntl.flock(lock, fcntl.LOCK_EX)
child = subprocess.Popen([sys.executable, "-m", "worker.subprocess.parent_watchdog", "endless"],
    stdin=subprocess.PIPE,
    start_new_session=True, pass_fds=[lock.fileno()])
child.wait()
"""
    path = f"{django_settings.BASE_DIR}{os.pathsep}{tmp_path}"
    process = subprocess.Popen(
        [sys.executable, "-c", holder], env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"{}\n"
    process.kill()
    process.wait()
    assert wait_until(lambda: not locked(lock))
    process.stdout.close()


@pytest.mark.slow
def test_a_manifest_becomes_a_candidate_and_the_active_model_stays(start, model, tmp_path):
    run = start(manifest=write_collection(tmp_path / "images", patients=24), **TINY)
    assert TrainJob().step()
    assert outcome(run) == ("done", "")
    assert run.candidate.status == ModelStatus.CANDIDATE
    assert run.candidate.spec["findings"] == ["left", "right"]
    assert run.progress["epoch"] == 1
    assert run.progress["train"] > 20
    assert list(ModelVersion.objects.filter(status=ModelStatus.ACTIVE)) == [model]
    left = {path.name for path in work_folder(str(run.id)).iterdir()}
    assert {"evaluation.json", "model-card.md", "log.jsonl"} <= left
    assert not left & {"cache", "checkpoint.safetensors"}


@pytest.mark.slow
def test_images_that_are_no_use_fail_with_a_code(start, tmp_path):
    run = start(manifest=write_collection(tmp_path / "images", patients=2), **TINY)
    TrainJob().step()
    assert outcome(run) == ("failed", "data_refused")
    assert "has no image with" in (work_folder(str(run.id)) / "stderr.log").read_text()


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_goes_on_from_its_checkpoint(start, tmp_path):
    run = start(manifest=write_collection(tmp_path / "images", patients=24), **TINY | {"epochs": 8})
    worker = subprocess.Popen(
        [sys.executable, "-c", "import worker.app, django; django.setup()\n"
         "from worker.jobs.train import TrainJob; TrainJob().step()"],
        cwd=django_settings.BASE_DIR, env=os.environ | {"DATABASE_URL": database_url()},
    )  # fmt: skip
    assert wait_until(lambda: len(epochs_of(run)) > 1, 240)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert wait_until(lambda: not in_use(run))
    done = len(epochs_of(run))
    assert done < 8
    TrainingRun.objects.filter(pk=run.pk).update(lease_expires_at=run.created_at)
    TrainJob().step()
    assert outcome(run) == ("done", "")
    assert run.attempts == 2
    # An epoch that was reported and not yet saved when the kill came is trained again.
    assert epochs_of(run)[done] in (done, done + 1)
    assert epochs_of(run)[-1] == 8


def database_url() -> str:
    """Of the test's own database, for another process."""
    known = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{known['NAME']}"
    return f"postgres://{known['USER']}:{known['PASSWORD']}@{known['HOST']}:{known['PORT']}/{known['NAME']}"
