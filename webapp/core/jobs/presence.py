"""Which workers there are: each reports itself to the database, so that it works over several hosts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db.models.functions import Now

from webapp.core.jobs.queues import Queue
from webapp.core.models import WorkerPresence

REPORT_SECONDS = 30.0
MISSED_AFTER = timedelta(minutes=3)
FORGOTTEN_AFTER = timedelta(days=30)


def report_presence(queues: Iterable[Queue], node: str) -> None:
    """Note that the worker `node` serves these queues now."""
    for queue in queues:
        WorkerPresence.objects.update_or_create(queue=queue, node=node[:255], defaults={"seen_at": Now()})


def missing_workers() -> list[Queue]:
    """The queues that no worker has served lately."""
    seen = WorkerPresence.objects.filter(seen_at__gte=Now() - MISSED_AFTER).values_list("queue", flat=True)
    return [queue for queue in Queue if queue not in set(seen)]


def forget_workers() -> int:
    """Delete the entries of workers that are long gone; returns how many."""
    return WorkerPresence.objects.filter(seen_at__lt=Now() - FORGOTTEN_AFTER).delete()[0]
