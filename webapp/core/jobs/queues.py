"""Wakes the workers. The row is the job; a message is a nudge that names a task and carries nothing else."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from celery import Celery
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

QUEUES = {
    "worker.tasks.ingest": "ingest",
    "worker.tasks.infer": "infer",
    "worker.tasks.train": "train",
    "worker.tasks.notify": "notify",
    "worker.tasks.monitor": "monitor",
    "worker.tasks.sweep": "control",
}
POLL_SECONDS = 0.05


def notify_workers(task_name: str, *ids: Any) -> None:
    """Wake the workers of `task_name` once the current transaction commits, once per transaction.

    `ids` name the rows concerned and go no further than the log: a worker asks the ledger what is to be done.
    A broker that does not answer is logged; the workers look into the ledger themselves every few seconds.
    """
    if task_name not in QUEUES:
        raise ValueError(f"unknown task {task_name!r}")
    logger.debug("nudge %s for %d rows", task_name, len(ids))
    connection = transaction.get_connection()
    if not any(callback == _WakeUp(task_name) for _, callback, *_ in connection.run_on_commit):
        transaction.on_commit(_WakeUp(task_name), robust=True)


class _WakeUp:
    """One message to be sent; two for the same task are equal."""

    def __init__(self, task_name: str) -> None:
        self.task_name = task_name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _WakeUp) and other.task_name == self.task_name

    def __hash__(self) -> int:
        return hash(self.task_name)

    def __call__(self) -> None:
        try:
            producer().send_task(
                self.task_name, queue=QUEUES[self.task_name], ignore_result=True, retry=False
            )
        except (OperationalError, OSError) as error:
            logger.warning("the broker is down, %s was not nudged: %s", self.task_name, type(error).__name__)


@cache
def producer() -> Celery:
    """A Celery application that only sends, by name; it knows no task and imports no worker code."""
    app = Celery("hilum-producer", set_as_current=False)
    app.conf.update(celery_settings())
    app.conf.broker_connection_timeout = 1
    if settings.REDIS_URL:
        app.conf.broker_transport_options = {"socket_connect_timeout": 1, "socket_timeout": 2}
    return app


def celery_settings() -> dict[str, Any]:
    """What producer and workers must agree on: the broker, the queues and the form of a message."""
    shared: dict[str, Any] = {
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_ignore_result": True,
        "task_default_queue": "control",
        "task_routes": {name: {"queue": queue} for name, queue in QUEUES.items()},
        "timezone": "UTC",
    }
    if settings.REDIS_URL:
        return shared | {"broker_url": settings.REDIS_URL}
    folder = settings.HILUM_QUEUE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return shared | {
        "broker_url": "filesystem://localhost/",
        "broker_transport": "webapp.core.jobs.transport:Transport",
        "broker_transport_options": {
            "data_folder_in": str(folder),
            "data_folder_out": str(folder),
            "control_folder": str(folder),
            "polling_interval": POLL_SECONDS,
        },
    }
