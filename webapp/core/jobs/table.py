"""The job table: rows that are jobs. A message only wakes a worker; the row is the job.

A worker claims rows by compare-and-set under a token of its own, extends the lease while it works (by the
database's clock), and finishes only rows that still carry its token, so a late duplicate loses. This holds on
SQLite and PostgreSQL.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.apps import apps
from django.db import connection, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.dispatch import Signal

from webapp.core.models import Record

LEASE = timedelta(seconds=20)
GAVE_UP = "gave_up"
# Sent in the transaction in which a `job` fails or is given up; the sender is its model.
job_failed = Signal()


class IllegalTransition(Exception):
    """A status change that the model's TRANSITIONS do not allow."""

    def __init__(self, model: type[models.Model], source: str, target: str) -> None:
        super().__init__(f"{model.__name__} may not move from {source!r} to {target!r}")


@dataclass(frozen=True)
class Transitions:
    """Which status of a model may follow which, and the statuses that the job table uses."""

    moves: Mapping[str, frozenset[str]]
    waiting: str = ""
    running: str = ""
    failed: str = ""
    max_attempts: int = 3

    def allows(self, source: str, target: str) -> bool:
        return target in self.moves[source]

    def constraint(self, name: str) -> models.CheckConstraint:
        """Only known statuses; and a row runs exactly while it has a token and a lease."""
        known = Q(status__in=sorted(self.moves))
        if not self.running:
            return models.CheckConstraint(condition=known, name=name)
        held = Q(status=self.running, attempt_token__isnull=False, lease_expires_at__isnull=False)
        free = ~Q(status=self.running) & Q(attempt_token__isnull=True, lease_expires_at__isnull=True)
        return models.CheckConstraint(condition=known & (held | free), name=name)


class JobStatus(models.TextChoices):
    """The statuses of a job, unless its model has its own."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


JOB_TRANSITIONS = Transitions(
    waiting="queued",
    running="running",
    failed="failed",
    moves={
        "queued": frozenset({"running"}),
        "running": frozenset({"queued", "done", "failed"}),
        "done": frozenset(),
        "failed": frozenset({"queued"}),
    },
)


class StatusRow(Record):
    """A row whose status moves as its class' TRANSITIONS allow; `save` refuses every other move."""

    TRANSITIONS: ClassVar[Transitions]
    _loaded_status: str | None

    status = models.CharField(max_length=16)

    class Meta:
        abstract = True

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any
    ) -> Self:
        row = super().from_db(db, field_names, values, **options)
        row._loaded_status = row.__dict__.get("status")
        return row

    @classmethod
    def check_move(cls, source: str, target: str) -> None:
        if not cls.TRANSITIONS.allows(source, target):
            raise IllegalTransition(cls, source, target)

    def save(self, *args: Any, **kwargs: Any) -> None:
        loaded = getattr(self, "_loaded_status", None)
        if loaded is not None and loaded != self.status:
            self.check_move(loaded, self.status)
        super().save(*args, **kwargs)
        self._loaded_status = self.status


class JobQuerySet(models.QuerySet[Any]):
    """Rows of one job table."""

    def claimable(self) -> Self:
        """The rows that a worker may take now: waiting, or left by one that lost its lease."""
        transitions = self.model.TRANSITIONS
        left = Q(status=transitions.running, lease_expires_at__lt=Now())
        return self.filter(Q(status=transitions.waiting) | left, attempts__lt=transitions.max_attempts)

    def expired(self) -> Self:
        """The rows whose worker has let its lease run out."""
        return self.filter(status=self.model.TRANSITIONS.running, lease_expires_at__lt=Now())

    def claim(self, n: int = 1, *, lease: timedelta = LEASE) -> list[Any]:
        """Take up to `n` claimable rows, oldest first, under one new token; worn-out rows are given up.

        A row that was claimed before and lost its lease is claimed alone: a poison row must not use up the
        attempts of its neighbours. With `BATCH_BY`, all rows have the oldest row's value of that column.
        """
        rows = self.model.objects
        rows.give_up()
        with transaction.atomic():
            picked = _oldest_batch(self.claimable().order_by("created_at", "pk"), n)
            if not picked:
                return []
            token = uuid.uuid4()
            still_open = rows.filter(pk__in=[row.pk for row in picked]).claimable()
            still_open.filter(attempts=picked[0].attempts).update(
                status=self.model.TRANSITIONS.running,
                attempts=F("attempts") + 1,
                attempt_token=token,
                lease_expires_at=Now() + lease,
            )
            claimed = rows.filter(attempt_token=token).select_related(*self.model.CLAIM_WITH)
            return list(claimed.order_by("created_at", "pk"))

    def give_up(self) -> int:
        """Fail with `gave_up` the rows whose last attempt lost its lease; returns how many."""
        given_up = 0
        for row in self.expired().filter(attempts__gte=self.model.TRANSITIONS.max_attempts):
            # Compare-and-set row by row: each failure is announced by exactly one process.
            lost = self.model.objects.filter(pk=row.pk, attempt_token=row.attempt_token).expired()
            given_up += row._fail(lost, GAVE_UP)
        return given_up


class JobRow(StatusRow):
    """A job. `attempts` counts claims since the last request; a token and a lease stand while it runs.

    `QUEUE` names the workers that claim it, `CLAIM_WITH` the relations that they need.
    """

    TRANSITIONS: ClassVar[Transitions] = JOB_TRANSITIONS
    QUEUE: ClassVar[str]
    CLAIM_WITH: ClassVar[tuple[str, ...]] = ()
    BATCH_BY: ClassVar[str] = ""
    Status: ClassVar[type[models.TextChoices]] = JobStatus

    status = models.CharField(max_length=16, choices=JobStatus, default=JobStatus.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    attempt_token = models.UUIDField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    error_code = models.CharField(max_length=64, blank=True, default="", editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    objects = JobQuerySet.as_manager()

    class Meta:
        abstract = True

    def extend_lease(self, lease: timedelta = LEASE) -> int:
        """Prolong the lease of every row that is still held under this row's token; returns how many."""
        return self._claim().update(lease_expires_at=Now() + lease)

    def is_held(self) -> bool:
        """Whether the row still runs under its token; in a transaction it stays so until the end of it."""
        return bool(self._held().update(attempt_token=self.attempt_token))

    def finish(self, status: str, **values: Any) -> bool:
        """Move a running row on; False when its claim was lost to another worker.

        Raises IllegalTransition when `status` cannot follow the running one.
        """
        self.check_move(self.TRANSITIONS.running, status)
        values = {"error_code": "", **values}
        return bool(self._held().update(status=status, **_unclaimed(finished_at=Now(), **values)))

    def fail(self, code: str) -> bool:
        """Fail a running row with an error code; False when its claim was lost to another worker."""
        return self._fail(self._held(), code)

    def release(self) -> int:
        """Put the rows of this row's claim back into the queue (a worker stops): it was no attempt."""
        rows = self._claim()
        return rows.update(status=self.TRANSITIONS.waiting, attempts=F("attempts") - 1, **_unclaimed())

    def retry(self, **values: Any) -> bool:
        """Queue a finished row again with all its attempts; False when it has moved meanwhile."""
        self.check_move(self.status, self.TRANSITIONS.waiting)
        values = {"attempts": 0, "error_code": "", **_unclaimed(finished_at=None, **values)}
        rows = type(self).objects.filter(pk=self.pk, status=self.status)
        return bool(rows.update(status=self.TRANSITIONS.waiting, **values))

    def _claim(self) -> JobQuerySet:
        rows = type(self).objects
        return rows.filter(status=self.TRANSITIONS.running, attempt_token=self.attempt_token)

    def _held(self) -> JobQuerySet:
        return self._claim().filter(pk=self.pk)

    @transaction.atomic
    def _fail(self, row: JobQuerySet, code: str) -> bool:
        values = _unclaimed(finished_at=Now(), error_code=code)
        if not row.update(status=self.TRANSITIONS.failed, **values):
            return False
        self.error_code = code
        job_failed.send(type(self), job=self)
        return True


def job_tables() -> list[type[JobRow]]:
    return [model for model in apps.get_models() if issubclass(model, JobRow)]


def _unclaimed(**values: Any) -> dict[str, Any]:
    return {"attempt_token": None, "lease_expires_at": None, **values}


def _oldest_batch(rows: JobQuerySet, n: int) -> list[JobRow]:
    """The oldest row and, if it was never claimed before, those after it that were not either."""
    column = rows.model.BATCH_BY
    if column and (oldest := rows.first()):
        rows = rows.filter(**{column: getattr(oldest, column)})
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True, of=("self",))
    picked = list(rows[:n])
    return picked[:1] if picked and picked[0].attempts else [row for row in picked if not row.attempts]
