"""The ledger: rows that are jobs. A message is only a nudge; what is to be done stands in the row.

A worker claims rows by compare-and-set under a token of its own, keeps the lease alive by the database's
clock, and finishes only what still carries its token, so that a late duplicate loses. True on SQLite
and PostgreSQL.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from django.db import connection, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from webapp.core.models import Record

GAVE_UP = "gave_up"


class IllegalTransition(Exception):
    """A status was asked to move where its table does not let it."""

    def __init__(self, model: type[models.Model], source: str, target: str) -> None:
        super().__init__(f"{model.__name__} may not move from {source!r} to {target!r}")


@dataclass(frozen=True)
class Transitions:
    """The one table of a model's status: which status may follow which, and those that the ledger uses."""

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


class StatusRow(Record):
    """A row whose status moves through its class' LIFE; `save` refuses every other move."""

    TRANSITIONS: Transitions

    status = models.CharField(max_length=16)

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db: str | None, field_names: Iterable[str], values: Iterable[Any]) -> Self:
        row = super().from_db(db, field_names, values)
        row._loaded_status = row.__dict__.get("status")
        return row

    def save(self, *args: Any, **kwargs: Any) -> None:
        loaded = getattr(self, "_loaded_status", None)
        if loaded is not None and loaded != self.status:
            check_move(type(self), loaded, self.status)
        super().save(*args, **kwargs)
        self._loaded_status = self.status


class JobRow(StatusRow):
    """A job. `attempts` counts claims since the last request; a token and a lease stand while it runs."""

    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    attempt_token = models.UUIDField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    error_code = models.CharField(max_length=64, blank=True, default="", editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


def check_move(model: type[StatusRow], source: str, target: str) -> None:
    if not model.TRANSITIONS.allows(source, target):
        raise IllegalTransition(model, source, target)


def claim(queryset: models.QuerySet, *, n: int, lease: timedelta) -> list[Any]:
    """Take up to `n` of the queryset's claimable rows, oldest first, for `lease`; they carry one new token.

    A row that was claimed before and lost its lease is claimed alone: a poison row must not use up the
    attempts of its neighbours. Rows at the attempt cap are left for `give_up`.
    """
    model, transitions = queryset.model, queryset.model.TRANSITIONS
    with transaction.atomic():
        picked = _oldest_companions(_locked(claimable(queryset)), n)
        if not picked:
            return []
        token = uuid.uuid4()
        still_open = claimable(model._base_manager.filter(pk__in=[row.pk for row in picked]))
        still_open.filter(attempts=picked[0].attempts).update(
            status=transitions.running,
            attempts=F("attempts") + 1,
            attempt_token=token,
            lease_expires_at=Now() + lease,
        )
        return list(model._base_manager.filter(attempt_token=token).order_by("created_at", "pk"))


def claimable(queryset: models.QuerySet) -> models.QuerySet:
    """The rows that a worker may take now: waiting, or left behind by one that lost its lease."""
    transitions = queryset.model.TRANSITIONS
    left_behind = Q(status=transitions.running, lease_expires_at__lt=Now())
    return queryset.filter(Q(status=transitions.waiting) | left_behind, attempts__lt=transitions.max_attempts)


def extend(model: type[JobRow], token: uuid.UUID, *, lease: timedelta) -> int:
    """Heartbeat: prolong the lease of every row still held under the token; answers how many those are."""
    return model._base_manager.filter(status=model.TRANSITIONS.running, attempt_token=token).update(
        lease_expires_at=Now() + lease
    )


def still_mine(row: JobRow, token: uuid.UUID) -> bool:
    """Whether the row still runs under the token; inside a transaction it stays so until the end of it."""
    held = type(row)._base_manager.filter(pk=row.pk, status=row.TRANSITIONS.running, attempt_token=token)
    return bool(held.update(attempt_token=token))


def finish(row: JobRow, token: uuid.UUID, *, status: str, **values: Any) -> bool:
    """Move a running row on, if it still carries the token; False when somebody else has it by now.

    Raises IllegalTransition when `status` cannot follow the running one.
    """
    check_move(type(row), row.TRANSITIONS.running, status)
    held = type(row)._base_manager.filter(pk=row.pk, status=row.TRANSITIONS.running, attempt_token=token)
    return bool(held.update(status=status, **_let_go(finished_at=Now(), **values)))


def release(model: type[JobRow], token: uuid.UUID) -> int:
    """Hand back what was claimed and not begun (a worker that shuts down); the attempt does not count."""
    held = model._base_manager.filter(status=model.TRANSITIONS.running, attempt_token=token)
    return held.update(status=model.TRANSITIONS.waiting, attempts=F("attempts") - 1, **_let_go())


def retry(row: JobRow, **values: Any) -> bool:
    """Put a failed row back into the queue with all its attempts; False when it has moved meanwhile."""
    transitions = row.TRANSITIONS
    check_move(type(row), row.status, transitions.waiting)
    asked = type(row)._base_manager.filter(pk=row.pk, status=row.status)
    return bool(
        asked.update(
            status=transitions.waiting, attempts=0, error_code="", **_let_go(finished_at=None, **values)
        )
    )


def expired(queryset: models.QuerySet) -> models.QuerySet:
    """The rows whose worker has let its lease run out."""
    return queryset.filter(status=queryset.model.TRANSITIONS.running, lease_expires_at__lt=Now())


def give_up(queryset: models.QuerySet) -> list[Any]:
    """Fail the rows whose last attempt lost its lease with `gave_up`; answers their keys."""
    transitions = queryset.model.TRANSITIONS
    lost = expired(queryset).filter(attempts__gte=transitions.max_attempts)
    keys = []
    for row in lost:
        # Compare-and-set row by row: each key is told to exactly one caller.
        mine = expired(queryset.model._base_manager.filter(pk=row.pk, attempt_token=row.attempt_token))
        if mine.update(status=transitions.failed, error_code=GAVE_UP, **_let_go(finished_at=Now())):
            keys.append(row.pk)
    return keys


def _let_go(**values: Any) -> dict[str, Any]:
    return {"attempt_token": None, "lease_expires_at": None, **values}


def _locked(queryset: models.QuerySet) -> models.QuerySet:
    rows = queryset.order_by("created_at", "pk")
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True, of=("self",))
    return rows


def _oldest_companions(rows: models.QuerySet, n: int) -> list[JobRow]:
    """The oldest row, with the fresh ones after it if it is fresh itself."""
    picked = list(rows[:n])
    if not picked or picked[0].attempts:
        return picked[:1]
    return [row for row in picked if not row.attempts]
