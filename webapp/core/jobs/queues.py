"""Wakes the workers: a message names a queue and carries nothing else, since the row is the job."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from celery import Celery
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05


class Queue(StrEnum):
    """One queue for each kind of work; `worker.runners` names its job runner."""

    INGEST = "ingest"
    INFER = "infer"
    TRAIN = "train"
    NOTIFY = "notify"
    SEND = "send"
    MONITOR = "monitor"
    DICOM = "dicom"
    BACKUP = "backup"
    CONTROL = "control"

    @property
    def task(self) -> str:
        """The name of the Celery task that wakes the queue's workers."""
        return f"worker.wake.{self.value}"


def notify_workers(queue: Queue) -> None:
    """Wake the queue's workers when the current transaction commits, once a transaction.

    A broker that is down is logged only: workers look into the job table every few seconds anyway.
    """
    wake_up = _WakeUp(Queue(queue))
    if not any(callback == wake_up for _, callback, *_ in transaction.get_connection().run_on_commit):
        transaction.on_commit(wake_up, robust=True)


@dataclass(frozen=True)
class _WakeUp:
    """One message; two for the same queue are equal."""

    queue: Queue

    def __call__(self) -> None:
        try:
            producer().send_task(self.queue.task, queue=self.queue.value, ignore_result=True, retry=False)
        except (OperationalError, OSError) as error:
            logger.warning("broker unavailable (%s): %s workers not woken", type(error).__name__, self.queue)


@cache
def producer() -> Celery:
    """A Celery application that only sends; it imports no worker code."""
    app = Celery("hilum-producer", set_as_current=False)
    app.conf.update(celery_settings())
    app.conf.broker_connection_timeout = 1
    if settings.REDIS_URL:
        app.conf.broker_transport_options = {"socket_connect_timeout": 1, "socket_timeout": 2}
    return app


def celery_settings() -> dict[str, Any]:
    """The settings that producer and workers share: broker, queues, message format."""
    shared: dict[str, Any] = {
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_ignore_result": True,
        "task_default_queue": Queue.CONTROL.value,
        "task_routes": {queue.task: {"queue": queue.value} for queue in Queue},
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
