"""Backups are made by schedule, tried again after a failure, and missed when they are not made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.utils import timezone

from tests.factories import UserFactory
from webapp.backup.checks import backups_are_made, backups_have_a_place_and_a_passphrase
from webapp.backup.models import BackupRun
from webapp.backup.repository import Repository
from webapp.backup.selectors import State, backup_state
from webapp.backup.services import backups_schedule
from worker.jobs.backup import BackupJob
from worker.jobs.mail.backups import send_backup_failures

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.fixture
def folder(settings, tmp_path):
    settings.HILUM_BACKUP_FOLDER = str(tmp_path / "backups")
    return tmp_path / "backups"


def test_nothing_is_scheduled_without_a_folder(data):
    assert backups_schedule() == 0
    assert backup_state() == State.OFF
    assert [found.id for found in backups_are_made(None)] == ["hilum.W025"]


def test_each_period_has_one_backup(scan, folder, settings):
    settings.HILUM_BACKUP_HOURS = 6
    assert [backups_schedule(now=NOON + timedelta(hours=h)) for h in (0, 1, 5, 6, 7)] == [1, 0, 0, 1, 0]
    assert BackupRun.objects.count() == 2


def test_a_scheduled_backup_is_made_and_old_ones_are_removed(scan, folder, settings):
    settings.HILUM_BACKUP_KEEP = 1
    for day in range(2):
        backups_schedule(now=NOON + timedelta(days=day))
        assert BackupJob().step() is True
    assert BackupJob().step() is False
    assert [run.status for run in BackupRun.objects.all()] == ["done", "done"]
    assert len(Repository(folder).complete()) == 1
    assert backup_state() == State.OK
    assert backups_are_made(None) == []


def test_a_failure_is_shown_mailed_once_and_tried_again_after_an_hour(scan, folder, settings):
    UserFactory(is_superuser=True, email="root@example.org")
    settings.HILUM_MAIL = True
    folder.mkdir()
    (folder / "something").write_text("else")
    backups_schedule()
    BackupJob().step()
    run = BackupRun.objects.get()
    assert (run.status, run.error_code, backup_state()) == ("failed", "folder_invalid", State.FAILED)
    assert send_backup_failures() == 1
    assert send_backup_failures() == 0
    assert mail.outbox[0].to == ["root@example.org"]
    assert "folder_invalid" in mail.outbox[0].body
    assert backups_schedule() == 0
    (folder / "something").unlink()
    BackupRun.objects.update(finished_at=timezone.now() - timedelta(hours=1, minutes=1))
    assert backups_schedule() == 1
    BackupJob().step()
    assert backup_state() == State.OK


def test_a_backup_that_was_not_made_is_overdue(scan, folder):
    backups_schedule()
    assert backup_state() == State.WAITING
    BackupRun.objects.update(created_at=timezone.now() - timedelta(hours=49))
    assert backup_state() == State.OVERDUE
    BackupJob().step()
    assert backup_state() == State.OK
    BackupRun.objects.update(finished_at=timezone.now() - timedelta(hours=49))
    assert backup_state() == State.OVERDUE
    assert "overdue" in backups_are_made(None)[0].msg


def test_settings_that_cannot_work_are_named(data, settings):
    settings.HILUM_BACKUP_FOLDER = str(data / "media" / "backups")
    settings.HILUM_BACKUP_PASSPHRASE = "short"
    assert [found.id for found in backups_have_a_place_and_a_passphrase(None)] == ["hilum.E023", "hilum.E024"]
