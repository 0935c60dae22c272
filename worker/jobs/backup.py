"""Scheduled backups, in the worker that also cleans up."""

from __future__ import annotations

import logging

from webapp.backup.models import BackupRun
from webapp.backup.services import backup_run
from webapp.core.errors import CodedError
from worker.runner import Heartbeat, Job

logger = logging.getLogger(__name__)

LIMIT_SECONDS = 24 * 3600.0


class BackupJob(Job):
    name = "backup"

    def step(self) -> bool:
        runs = BackupRun.objects.claim()
        for run in runs:
            with Heartbeat(run, limit=LIMIT_SECONDS):
                self._make(run)
        return bool(runs)

    def _make(self, run: BackupRun) -> None:
        try:
            made = backup_run(run=run)
        except CodedError as error:
            logger.error("backup failed: %s: %s %s", error.code, error.message, error.remedy)
            return
        manifest = made.backup.manifest
        logger.info("backup %s made: %d files, %d bytes new", manifest.name, manifest.files, made.added)
        if manifest.problems:
            logger.error(
                "backup %s lacks %d files: run check_storage --deep", manifest.name, len(manifest.problems)
            )
