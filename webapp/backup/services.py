"""Backup runs: queued by the schedule, recorded with their outcome."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from webapp.audit.services import record
from webapp.backup.errors import BackupError
from webapp.backup.making import Made, make_backup
from webapp.backup.models import BackupRun
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import JobStatus

# A failed backup is tried again after this time, until the next one is due.
RETRY = timedelta(hours=1)


@transaction.atomic
def backups_schedule(*, now: datetime | None = None) -> int:
    """Queue the backup that is due, one for each period; returns how many were queued."""
    if not settings.HILUM_BACKUP_FOLDER:
        return 0
    now = now or timezone.now()
    period = settings.HILUM_BACKUP_HOURS * 3600
    due = datetime.fromtimestamp(now.timestamp() // period * period, UTC)
    run, created = BackupRun.objects.get_or_create(
        due_at=due, defaults={"folder": settings.HILUM_BACKUP_FOLDER}
    )
    if not created:
        failed = run.status == JobStatus.FAILED and run.finished_at is not None
        if not failed or now - (run.finished_at or now) < RETRY:
            return 0
        run.retry(folder=settings.HILUM_BACKUP_FOLDER, mailed_at=None)
    notify_workers(Queue.BACKUP)
    return 1


def backup_run(*, run: BackupRun) -> Made:
    """Make the backup of a claimed run. Raises CodedError, with the code in the run too."""
    passphrase = settings.HILUM_BACKUP_PASSPHRASE
    try:
        if not passphrase:
            raise BackupError("passphrase_missing")
        made = make_backup(Path(run.folder), passphrase=passphrase, keep=settings.HILUM_BACKUP_KEEP)
    except CodedError as error:
        run.fail(error.code)
        raise
    with transaction.atomic():
        if run.finish(JobStatus.DONE, **_outcome(made)):
            _record(made)
    return made


def backup_now(*, folder: Path, passphrase: str | None, keep: int | None) -> Made:
    """Make a backup for a person; its success or failure is recorded. Raises CodedError."""
    try:
        made = make_backup(folder, passphrase=passphrase, keep=keep)
    except CodedError as error:
        _keep(folder, JobStatus.FAILED, error_code=error.code)
        raise
    with transaction.atomic():
        _keep(folder, JobStatus.DONE, **_outcome(made))
        _record(made)
    return made


def failure_mailed(*, run: BackupRun) -> None:
    BackupRun.objects.filter(pk=run.pk).update(mailed_at=Now())


def _keep(folder: Path, status: str, **values: object) -> None:
    BackupRun.objects.create(folder=str(folder), status=status, finished_at=timezone.now(), **values)


def _outcome(made: Made) -> dict[str, object]:
    manifest = made.backup.manifest
    return {
        "backup": manifest.name,
        "files": manifest.files,
        "size": manifest.size,
        "added": made.added,
        "problems": len(manifest.problems),
    }


def _record(made: Made) -> None:
    manifest = made.backup.manifest
    detail = {"backup": manifest.name, "files": manifest.files, "problems": len(manifest.problems)}
    record(actor=None, site=None, action="backup.made", detail=detail)
