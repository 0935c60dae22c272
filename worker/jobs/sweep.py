"""The sweeper: housekeeping every 15 seconds, and once a day."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from axes.models import AccessAttempt
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from webapp.accounts.sessions.services import sessions_tidy
from webapp.analysis.services import backfill
from webapp.analysis.stored_files.check import remove_leftovers
from webapp.backup.services import backups_schedule
from webapp.core.jobs.presence import forget_workers
from webapp.core.jobs.queues import notify_workers
from webapp.core.jobs.table import job_tables
from webapp.labels.manifests import manifests_process
from webapp.results.deliveries import result_deliveries_tidy
from webapp.scans.uploads.files import incoming_folder
from webapp.scans.uploads.idempotency import upload_keys_expire
from webapp.training.schedules import schedules_run
from webapp.webhooks.services import deliveries_tidy
from worker.jobs.phantoms import PhantomCollection
from worker.runner import Job
from worker.support.scratch import remove_stale, scratch_folder

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
ENGINES_KEPT = timedelta(days=90)  # exported networks that no worker has loaded since


class SweepJob(Job):
    """Gives up worn-out jobs, wakes workers for waiting ones, queues scans that waited for a model.

    It also settles the labels of imported manifests once their images are there.
    """

    name = "control"

    phantoms: PhantomCollection | None = None

    def __init__(self) -> None:
        self._next_tidying = 0.0

    def prepare(self) -> None:
        self.phantoms = PhantomCollection()

    def close(self) -> None:
        if self.phantoms:
            self.phantoms.close()

    def step(self) -> bool:
        tables = job_tables()
        done = {
            "given up": sum(table.objects.give_up() for table in tables),
            "queued": backfill(),
            "labels settled": manifests_process(),
            "trainings": schedules_run(),
            "backups": backups_schedule(),
        }
        if any(done.values()):
            logger.info("swept: %s", ", ".join(f"{count} {what}" for what, count in done.items() if count))
        waiting = {table.QUEUE for table in tables if table.objects.claimable().exists()}
        for queue in sorted(waiting):
            notify_workers(queue)
        for folder in (incoming_folder(), scratch_folder(), settings.HILUM_QUEUE_FOLDER / "unreadable"):
            remove_stale(folder)
        if self.phantoms:
            self.phantoms.tend()
        if time.monotonic() >= self._next_tidying:
            self._next_tidying = time.monotonic() + DAY.total_seconds()
            remove_stale(settings.HILUM_DATA / "engines", older_than=ENGINES_KEPT.total_seconds())
            tidy()
        return False


def tidy() -> None:
    """Once a day: expired sessions, failed sign-ins, old keys, old deliveries, files of failed attempts."""
    call_command("clearsessions")
    AccessAttempt.objects.filter(attempt_time__lt=timezone.now() - DAY).delete()
    sessions_tidy()
    upload_keys_expire()
    deliveries_tidy()
    result_deliveries_tidy()
    forget_workers()
    removed = remove_leftovers(DAY.total_seconds())
    if removed:
        logger.info("removed %d files of failed attempts", removed)
