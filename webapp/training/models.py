"""Training runs: rows of the ledger that a training worker takes from a manifest to a candidate model."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from webapp.core.ledger import LedgerRow, Life
from webapp.training.failures import Failure, failure_of


class RunStatus(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


# Five, not three: an attempt may last for days, goes on from the checkpoint, and dies with its machine.
RUN_LIFE = Life(
    waiting="queued",
    running="running",
    failed="failed",
    moves={
        "queued": frozenset({"running", "cancelled"}),
        "running": frozenset({"queued", "done", "failed", "cancelled"}),
        "done": frozenset(),
        "failed": frozenset(),
        "cancelled": frozenset(),
    },
    max_attempts=5,
)


class TrainingRun(LedgerRow):
    """One `python -m classifier train`. `site` owns it and its candidate; None means that it belongs to all.

    `manifest` is the path of a CSV on the training worker's machine, given by an operator. `config` holds
    options of the command by name. `progress` is the latest of what the training said: numbers by name, with
    `progress` from 0 to 1.
    """

    LIFE = RUN_LIFE
    Status = RunStatus

    status = models.CharField(max_length=16, choices=RunStatus, default=RunStatus.QUEUED)
    site = models.ForeignKey(
        "accounts.Site", models.PROTECT, null=True, blank=True, related_name="training_runs"
    )
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="training_runs")
    manifest = models.CharField(max_length=1000)
    config = models.JSONField(default=dict, blank=True)
    seed = models.PositiveIntegerField(default=0)
    code_version = models.CharField(max_length=64, blank=True, default="", editable=False)
    progress = models.JSONField(default=dict, blank=True, editable=False)
    candidate = models.ForeignKey(
        "registry.ModelVersion", models.PROTECT, null=True, blank=True, related_name="training_runs"
    )
    cancel_requested = models.BooleanField(default=False)

    class Meta:
        constraints = [
            RUN_LIFE.constraint("training_run_status"),
            models.CheckConstraint(
                condition=models.Q(status="done", candidate__isnull=False)
                | ~models.Q(status="done") & models.Q(candidate__isnull=True),
                name="training_run_done_with_candidate",
            ),
        ]
        indexes = [models.Index(fields=["-created_at"], name="training_run_newest")]

    def __str__(self) -> str:
        return f"training run {self.id}"

    @property
    def finished(self) -> bool:
        return not self.LIFE.moves[self.status]

    @property
    def percent(self) -> int:
        """How far it has come; calibration and evaluation are the last of the hundred."""
        done = self.status == RunStatus.DONE
        return 100 if done else min(99, round(100 * self.progress.get("progress", 0.0)))

    @property
    def failure(self) -> Failure | None:
        return failure_of(self.error_code) if self.error_code else None
