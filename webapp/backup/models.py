"""Backups as jobs: those that the schedule queues, and those made by `manage.py backup`."""

from __future__ import annotations

from django.db import models

from webapp.core.jobs.queues import Queue
from webapp.core.jobs.table import JOB_TRANSITIONS, JobRow


class BackupRun(JobRow):
    """One attempt to make a complete backup in `folder`.

    `due_at`: the time of the schedule that it belongs to, None for one that a person started. `backup`: its
    name in the folder. `files` and `size` (bytes) are those of the system, `added` the bytes that were new to
    the folder. `problems`: how many files are missing or damaged. `mailed_at`: when its failure was reported.
    """

    QUEUE = Queue.BACKUP

    due_at = models.DateTimeField(null=True, unique=True)
    folder = models.CharField(max_length=1000)
    backup = models.CharField(max_length=40, blank=True)
    files = models.PositiveBigIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0)
    added = models.PositiveBigIntegerField(default=0)
    problems = models.PositiveIntegerField(default=0)
    mailed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [JOB_TRANSITIONS.constraint("backup_run_status")]
        indexes = [models.Index(fields=["status", "-finished_at"], name="backup_run_latest")]

    def __str__(self) -> str:
        return f"backup run {self.id}"
