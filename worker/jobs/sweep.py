"""The sweeper: sees to what nobody else will, and does nothing when all is well."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from axes.models import AccessAttempt
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from webapp.analysis.explanations import explanations_give_up
from webapp.analysis.models import Analysis, Explanation
from webapp.analysis.services import analyses_give_up, backfill
from webapp.analysis.storage_check import remove_leftovers
from webapp.core.jobs import table as jobs
from webapp.core.jobs.queues import notify_workers
from webapp.labels.manifests import manifests_process
from webapp.scans.models import Upload
from webapp.scans.services import uploads_give_up
from webapp.scans.uploads.files import incoming_folder
from webapp.scans.uploads.idempotency import upload_keys_expire
from webapp.training.schedules import schedules_run
from webapp.webhooks.services import deliveries_tidy
from worker.jobs.phantoms import PhantomCollection
from worker.support.scratch import remove_stale, scratch_folder

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)


class SweepJob:
    """Gives up what is worn out, nudges for what lies waiting, queues the scans that waited for a model.

    Also gives images that have come in the labels that their manifests hold.
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
        given_up = uploads_give_up() + analyses_give_up() + explanations_give_up()
        done = {"given up": given_up, "queued": backfill(), "labels settled": manifests_process()}
        done["trainings"] = schedules_run()
        if any(done.values()):
            logger.info("swept: %s", ", ".join(f"{count} {what}" for what, count in done.items() if count))
        if jobs.claimable(Upload.objects.all()).exists():
            notify_workers("worker.tasks.ingest")
        if any(jobs.claimable(model.objects.all()).exists() for model in (Analysis, Explanation)):
            notify_workers("worker.tasks.infer")
        for folder in (incoming_folder(), scratch_folder(), settings.HILUM_QUEUE_FOLDER / "unreadable"):
            remove_stale(folder)
        if self.phantoms:
            self.phantoms.tend()
        if time.monotonic() >= self._next_tidying:
            self._next_tidying = time.monotonic() + DAY.total_seconds()
            tidy()
        return False


def tidy() -> None:
    """For once a day: searches, typed names and old keys are not kept, nor are files that came to nothing."""
    call_command("clearsessions")
    AccessAttempt.objects.filter(attempt_time__lt=timezone.now() - DAY).delete()
    upload_keys_expire()
    deliveries_tidy()
    removed = remove_leftovers(DAY.total_seconds())
    if removed:
        logger.info("tidied: %d files of lost attempts removed", removed)
