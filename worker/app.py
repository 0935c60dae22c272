"""The Celery application. It carries nudges and the scheduler's ticks; the work is done by `worker.runner`.

The solo pool is not a choice to be changed on the command line: a nudge only wakes the drain that lives in
the same process, which also keeps CUDA in one thread and the consumer free to answer a signal at any time.
"""

from __future__ import annotations

import logging
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

from celery import Celery
from celery.signals import worker_init, worker_shutdown, worker_shutting_down

from webapp.core.jobs.queues import celery_settings

SWEEP_SECONDS = 15

for _chatty in ("celery.app.trace", "celery.worker.strategy", "celery.beat"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)  # a nudge is no news; the jobs log what they did

app = Celery("hilum")
app.conf.update(
    celery_settings(),
    include=["worker.tasks"],
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
        # A sweep that nobody took in time is no more needed: the next one is due.
        "sweep": {
            "task": "worker.tasks.sweep",
            "schedule": SWEEP_SECONDS,
            "options": {"expires": SWEEP_SECONDS},
        }
    },
)


@worker_init.connect
def start_runners(sender, **kwargs) -> None:
    """Before the broker is asked for: a worker whose broker is down still works off its ledger."""
    from worker import tasks

    tasks.start(queues=sender.app.amqp.queues.consume_from, node=sender.hostname)


@worker_shutting_down.connect
def ask_runners_to_stop(**kwargs) -> None:
    from worker import tasks

    tasks.ask_to_stop()


@worker_shutdown.connect
def stop_runners(**kwargs) -> None:
    from worker import tasks

    tasks.stop()
