from __future__ import annotations

import os
from datetime import timedelta

import pytest

from tests.factories import AnalysisFactory, ScanFactory, UploadFactory
from webapp.analysis.models import Analysis
from webapp.core import ledger
from webapp.scans.models import Upload
from worker import sweep
from worker.scratch import remove_stale, scratch_folder
from worker.sweep import SweepJob

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def nudged(monkeypatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(sweep, "nudge", names.append)
    return names


def test_it_does_nothing_when_all_is_well(nudged):
    assert SweepJob().step() is False
    assert nudged == []


def test_it_nudges_for_what_lies_waiting(nudged):
    UploadFactory()
    AnalysisFactory()
    SweepJob().step()
    assert nudged == ["worker.tasks.ingest", "worker.tasks.infer"]


def test_it_queues_the_scans_that_waited_for_a_model(model):
    scan = ScanFactory()
    SweepJob().step()
    assert Analysis.objects.get(scan=scan).model_version == model


def test_what_has_used_up_its_attempts_is_given_up_with_a_code():
    analysis, upload = AnalysisFactory(), UploadFactory()
    for rows in (Analysis.objects.all(), Upload.objects.filter(pk=upload.pk)):
        for _ in range(3):
            assert ledger.claim(rows, n=1, lease=timedelta(seconds=-1))
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
