from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.utils import timezone

from tests.factories import AnalysisFactory, ScanFactory, SiteFactory, UploadFactory, UserFactory
from webapp.accounts.models import Role
from webapp.accounts.services import membership_set
from webapp.analysis.models import Analysis, Explanation
from webapp.core import storage
from webapp.scans.models import Upload
from webapp.training.models import TrainingRun, TrainingSchedule
from webapp.training.schedules import schedule_set
from worker.jobs import sweep
from worker.jobs.sweep import SweepJob, tidy
from worker.support.scratch import remove_stale, scratch_folder

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def woken(monkeypatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(sweep, "notify_workers", names.append)
    return names


def test_it_does_nothing_when_all_is_well(woken):
    assert SweepJob().step() is False
    assert woken == []


def test_it_wakes_workers_for_what_lies_waiting(woken):
    UploadFactory()
    AnalysisFactory()
    SweepJob().step()
    assert woken == ["infer", "ingest"]


def test_it_wakes_workers_for_an_explanation_that_waits_and_gives_up_one_that_is_worn_out(woken):
    analysis = AnalysisFactory(status="done")
    waiting, worn = (
        Explanation.objects.create(analysis=analysis, method=method) for method in ("layercam", "scorecam")
    )
    SweepJob().step()
    assert woken == ["infer"]
    for _ in range(3):
        assert Explanation.objects.filter(pk=worn.pk).claim(lease=timedelta(seconds=-1))
    SweepJob().step()
    worn.refresh_from_db()
    assert (worn.status, worn.error_code) == ("failed", "gave_up")
    assert Explanation.objects.get(pk=waiting.pk).status == "queued"


def test_it_queues_the_scans_that_waited_for_a_model(model):
    scan = ScanFactory()
    SweepJob().step()
    assert Analysis.objects.get(scan=scan).model_version == model


def test_it_starts_the_trainings_that_are_due():
    site = SiteFactory()
    actor = UserFactory()
    role, _ = Role.objects.get_or_create(name="trainer", defaults={"permissions": ["training.start"]})
    membership_set(user=actor, site=site, role=role)
    schedule = schedule_set(site=site, slot="cxr", actor=actor, rules={"cadence": "daily"})
    TrainingSchedule.objects.filter(pk=schedule.pk).update(next_at=timezone.now())
    for _ in range(2):
        SweepJob().step()
    assert TrainingRun.objects.get().schedule == schedule


def test_what_has_used_up_its_attempts_is_given_up_with_a_code():
    analysis, upload = AnalysisFactory(), UploadFactory()
    for rows in (Analysis.objects.all(), Upload.objects.filter(pk=upload.pk)):
        for _ in range(3):
            assert rows.claim(lease=timedelta(seconds=-1))
    SweepJob().step()
    analysis.refresh_from_db()
    upload.refresh_from_db()
    assert (analysis.status, analysis.error_code) == ("failed", "gave_up")
    assert (upload.status, upload.error_code) == ("failed", "gave_up")


def test_what_a_killed_process_left_is_removed_and_what_is_under_way_stays():
    old, new = scratch_folder() / "old", scratch_folder() / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "working.png").touch()
    os.utime(old, (0, 0))
    assert remove_stale(scratch_folder()) == 1
    assert not old.exists()
    assert new.exists()
    remove_stale(scratch_folder(), older_than=-1)


def test_a_file_that_cannot_be_removed_stops_nothing(monkeypatch, caplog):
    stubborn, old = scratch_folder() / "a", scratch_folder() / "b"
    for path in (stubborn, old):
        path.touch()
        os.utime(path, (0, 0))
    unlink = Path.unlink

    def refuse(path, missing_ok=False):
        if path == stubborn:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        assert remove_stale(scratch_folder()) == 1
    assert not old.exists()
    assert "cannot be removed" in caplog.text
    stubborn.unlink()


def test_searches_and_typed_names_are_not_kept_for_ever():
    for key, days in (("old", -1), ("new", 1)):
        Session.objects.create(session_key=key, expire_date=timezone.now() + timedelta(days=days))
        attempt = AccessAttempt.objects.create(username=key, failures_since_start=1)
        AccessAttempt.objects.filter(pk=attempt.pk).update(
            attempt_time=timezone.now() + timedelta(days=2 * days)
        )
    SweepJob().step()
    assert [session.pk for session in Session.objects.all()] == ["new"]
    assert [attempt.username for attempt in AccessAttempt.objects.all()] == ["new"]


def test_files_of_lost_attempts_go_and_those_of_unknown_uploads_stay():
    upload, other = UploadFactory(), uuid.uuid4()
    folder = storage.path_of(upload.stored_name).parent
    lost, draft = folder / "0123abcd-working.png", folder / ".draft-x"
    unknown = storage.root() / f"ab/{other}/0123abcd-working.png"
    kept = storage.path_of(upload.stored_name)
    for path in (lost, draft, unknown, kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (0, 0))
    tidy()
    assert [path.exists() for path in (lost, draft, unknown, kept)] == [False, False, True, True]
    unknown.unlink()


def test_an_exported_network_that_nobody_has_loaded_for_long_is_removed(settings):
    folder = settings.HILUM_DATA / "engines"
    folder.mkdir(exist_ok=True)
    old, used = folder / "old.onnx", folder / "used.onnx"
    for path in (old, used):
        path.touch()
    long_ago = time.time() - timedelta(days=91).total_seconds()
    os.utime(old, (long_ago, long_ago))
    SweepJob().step()
    assert (old.exists(), used.exists()) == (False, True)
    used.unlink()
