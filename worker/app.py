"""The Celery application: it carries wake-ups and the scheduler's ticks; `worker.runners` does the work.

The solo pool must not be changed on the command line: a wake-up only reaches the job runner of the same
process. It also keeps CUDA in one thread, and the consumer free to react to a signal at any time.
"""

# ruff: noqa: E402 (the job runners import models, which need Django to be set up)
from __future__ import annotations

import logging
import os
import threading

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
django.setup()

from celery import Celery
from celery.signals import worker_init, worker_shutting_down

from webapp.core.jobs.queues import Queue, celery_settings
from worker import runners

for _chatty in ("celery.app.trace", "celery.worker.strategy", "celery.beat"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)  # the jobs log what they did

app = Celery("hilum")
app.conf.update(
    celery_settings(),
    worker_pool="solo",
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler",
    beat_max_loop_interval=5,
    beat_schedule={
        # A tick that waits until the next one is due is dropped.
        "sweep": {
            "task": Queue.CONTROL.task,
            "schedule": runners.SWEEP_SECONDS,
            "options": {"expires": runners.SWEEP_SECONDS},
        }
    },
)


def _add_task(queue: Queue) -> None:
    @app.task(name=queue.task, queue=queue.value, ignore_result=True)
    def wake() -> None:
        runners.wake(queue)


for _queue in Queue:
    _add_task(_queue)


@worker_init.connect
def _start(sender, **kwargs) -> None:
    """Before the broker is asked for: a worker whose broker is down still works off its job tables."""
    runners.start(queues=sender.app.amqp.queues.consume_from, node=sender.hostname)


@worker_shutting_down.connect
def _stop(**kwargs) -> None:
    """End the process without waiting for Celery's own shutdown (5 s): messages are only wake-ups."""
    threading.Thread(target=runners.stop, name="stop").start()
