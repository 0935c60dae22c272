"""When the last backup was made, and whether that is as it should be."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from webapp.backup.models import BackupRun
from webapp.core.jobs.table import JobStatus

# So many periods may pass without a backup.
PATIENCE = 2


class State(StrEnum):
    """`OFF`: none is scheduled; `WAITING`: the first is still to come."""

    OFF = "off"
    WAITING = "waiting"
    OK = "ok"
    FAILED = "failed"
    OVERDUE = "overdue"


def last_success() -> BackupRun | None:
    return _latest(JobStatus.DONE)


def last_failure() -> BackupRun | None:
    return _latest(JobStatus.FAILED)


def backup_state() -> State:
    """The state of scheduled backups; a success after a failure settles it."""
    if not settings.HILUM_BACKUP_FOLDER:
        return State.OFF
    done, failed = last_success(), last_failure()
    if failed and (done is None or (failed.finished_at or failed.created_at) > _end(done)):
        return State.FAILED
    if done is None:
        oldest = BackupRun.objects.order_by("created_at").first()
        late = oldest is not None and timezone.now() - oldest.created_at > _patience()
        return State.OVERDUE if late else State.WAITING
    return State.OVERDUE if timezone.now() - _end(done) > _patience() else State.OK


def _latest(status: str) -> BackupRun | None:
    return BackupRun.objects.filter(status=status).order_by("-finished_at").first()


def _end(run: BackupRun) -> datetime:
    return run.finished_at or run.created_at


def _patience() -> timedelta:
    return PATIENCE * timedelta(hours=settings.HILUM_BACKUP_HOURS)
