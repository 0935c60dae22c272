"""Snapshots of labelled data, training runs and training schedules."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from classifier.contract import Slot
from webapp.core.jobs.queues import Queue
from webapp.core.jobs.table import JOB_TRANSITIONS, JobRow, Transitions
from webapp.core.models import Record
from webapp.training.failures import Failure, failure_of

SLOTS = [(slot.value, slot.value) for slot in Slot]
PARTS = [("train", "train"), ("val", "val"), ("test", "test")]


class RunStatus(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


# Five, not three: an attempt may last for days, goes on from the checkpoint, and dies with its machine.
RUN_TRANSITIONS = Transitions(
    waiting="queued",
    running="running",
    failed="failed",
    moves={
        "queued": frozenset({"running", "cancelled"}),
        "running": frozenset({"queued", "done", "failed", "cancelled", "skipped"}),
        "done": frozenset(),
        "failed": frozenset(),
        "cancelled": frozenset(),
        "skipped": frozenset(),
    },
    max_attempts=5,
)


class Snapshot(Record):
    """An immutable data set: a stored manifest of working images, identified by its hash; kept by triggers.

    `site` None: of all sites. `findings`: what it is labelled for, in the order of a model's outputs.
    `counts`: images, patients, by part and finding, and what was left out why.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, null=True, blank=True, related_name="snapshots")
    slot = models.CharField(max_length=16, choices=SLOTS)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="snapshots")
    fingerprint = models.CharField(max_length=64)
    stored_name = models.CharField(max_length=120)
    findings = models.JSONField()
    counts = models.JSONField(default=dict)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["site", "slot", "fingerprint"], condition=Q(site__isnull=False), name="snapshot_once"
            ),
            models.UniqueConstraint(
                fields=["slot", "fingerprint"], condition=Q(site=None), name="snapshot_once_of_all_sites"
            ),
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="snapshot_newest")]

    def __str__(self) -> str:
        return f"snapshot {self.fingerprint[:10]}"


class DataValidation(JobRow):
    """Data validation of a snapshot: [{severity, code, text, advice, numbers}], most severe first."""

    QUEUE = Queue.TRAIN
    CLAIM_WITH = ("snapshot__site",)

    snapshot = models.OneToOneField(Snapshot, models.PROTECT, related_name="validation")
    warnings = models.JSONField(default=list, editable=False)

    class Meta:
        constraints = [JOB_TRANSITIONS.constraint("data_validation_status")]

    def __str__(self) -> str:
        return f"validation of {self.snapshot_id}"


class PatientSplit(Record):
    """A patient's pseudonym in every snapshot, and their part of the split.

    The part never changes, except to `test`: a patient in the test set never leaves it.
    """

    patient = models.OneToOneField("scans.Patient", models.PROTECT, related_name="split_assignment")
    pseudonym = models.CharField(max_length=32, unique=True)
    part = models.CharField(max_length=8, choices=PARTS)

    def __str__(self) -> str:
        return self.pseudonym


class TestSetScan(models.Model):
    """A scan that was once in a test set: its patient belongs to the test set from then on."""

    scan = models.OneToOneField("scans.Scan", models.PROTECT, primary_key=True, related_name="test_set_entry")

    def __str__(self) -> str:
        return f"tested scan {self.scan_id}"


class Cadence(models.TextChoices):
    NEVER = "never"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class Start(models.TextChoices):
    """The initial weights: those of the active model, or none."""

    ACTIVE = "active"
    SCRATCH = "scratch"


class TrainingSchedule(Record):
    """Automatic retraining of a slot for a site (None: all sites), by time or by rule.

    `weekday` 0 is Monday; `at` is in the site's time zone. `new_labels`: after so many newly labelled scans;
    `on_drift`: at a drift alarm. Runs start in the name of `created_by`.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, null=True, blank=True, related_name="schedules")
    slot = models.CharField(max_length=16, choices=SLOTS, default=Slot.CXR.value)
    enabled = models.BooleanField(default=True)
    cadence = models.CharField(max_length=8, choices=Cadence, default=Cadence.NEVER)
    weekday = models.PositiveSmallIntegerField(default=6, validators=[MaxValueValidator(6)])
    day = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(28)]
    )
    at = models.TimeField()
    next_at = models.DateTimeField(null=True, blank=True, editable=False)
    new_labels = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    on_drift = models.BooleanField(default=False)
    start = models.CharField(max_length=8, choices=Start, default=Start.ACTIVE)
    config = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["site", "slot"], condition=Q(site__isnull=False), name="schedule_once_a_slot"
            ),
            models.UniqueConstraint(
                fields=["slot"], condition=Q(site=None), name="schedule_once_a_slot_of_all_sites"
            ),
        ]

    def __str__(self) -> str:
        return f"training schedule {self.id}"


class Trigger(models.TextChoices):
    """Why a run started."""

    PERSON = "person"
    SCHEDULE = "schedule"
    LABELS = "labels"
    DRIFT = "drift"


class TrainingRun(JobRow):
    """One `python -m classifier train`. `site` (None: all) owns it and its candidate.

    It trains on a `snapshot`, created by the worker if missing, or on a `manifest`: the path of a CSV on the
    training server. `base`: the version with the initial weights. `config`: the requested options, `options`:
    all in use. `progress`: the latest numbers, with `progress` 0 to 1; `curve`: numbers by epoch; `log`: the
    last lines. A skipped run found nothing new to train on.
    """

    TRANSITIONS = RUN_TRANSITIONS
    QUEUE = Queue.TRAIN
    CLAIM_WITH = ("site", "started_by", "snapshot", "base")
    Status = RunStatus

    status = models.CharField(max_length=16, choices=RunStatus, default=RunStatus.QUEUED)
    site = models.ForeignKey(
        "accounts.Site", models.PROTECT, null=True, blank=True, related_name="training_runs"
    )
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="training_runs")
    trigger = models.CharField(max_length=16, choices=Trigger, default=Trigger.PERSON)
    schedule = models.ForeignKey(
        TrainingSchedule, models.SET_NULL, null=True, blank=True, related_name="training_runs"
    )
    slot = models.CharField(max_length=16, choices=SLOTS, default=Slot.CXR.value)
    snapshot = models.ForeignKey(
        Snapshot, models.PROTECT, null=True, blank=True, related_name="training_runs"
    )
    manifest = models.CharField(max_length=1000, blank=True)
    start = models.CharField(max_length=8, choices=Start, default=Start.SCRATCH)
    base = models.ForeignKey(
        "registry.ModelVersion", models.PROTECT, null=True, blank=True, related_name="fine_tunings"
    )
    config = models.JSONField(default=dict, blank=True)
    seed = models.PositiveIntegerField(default=0)
    code_version = models.CharField(max_length=64, blank=True, default="", editable=False)
    options = models.JSONField(default=dict, blank=True, editable=False)
    progress = models.JSONField(default=dict, blank=True, editable=False)
    curve = models.JSONField(default=list, blank=True, editable=False)
    log = models.JSONField(default=list, blank=True, editable=False)
    candidate = models.ForeignKey(
        "registry.ModelVersion", models.PROTECT, null=True, blank=True, related_name="training_runs"
    )
    cancel_requested = models.BooleanField(default=False)

    class Meta:
        constraints = [
            RUN_TRANSITIONS.constraint("training_run_status"),
            models.CheckConstraint(
                condition=models.Q(status="done", candidate__isnull=False)
                | ~models.Q(status="done") & models.Q(candidate__isnull=True),
                name="training_run_done_with_candidate",
            ),
            models.CheckConstraint(
                condition=Q(manifest="") | Q(snapshot=None), name="training_run_of_one_data_set"
            ),
        ]
        indexes = [models.Index(fields=["-created_at"], name="training_run_newest")]

    def __str__(self) -> str:
        return f"training run {self.id}"

    @property
    def finished(self) -> bool:
        return not self.TRANSITIONS.moves[self.status]

    @property
    def percent(self) -> int:
        """Progress; calibration and evaluation are the last percent."""
        done = self.status == RunStatus.DONE
        return 100 if done else min(99, round(100 * self.progress.get("progress", 0.0)))

    @property
    def minutes_left(self) -> float | None:
        """Estimate from the time taken so far; None while unknown."""
        share, minutes = self.progress.get("progress", 0.0), self.progress.get("minutes", 0.0)
        if self.status != RunStatus.RUNNING or not share or not minutes:
            return None
        return minutes * max(0.0, 1 - share) / share

    @property
    def failure(self) -> Failure | None:
        return failure_of(self.error_code) if self.error_code else None
