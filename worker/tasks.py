"""The tasks: each wakes the drain of its queue. What is to be done stands in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from webapp.core.queue import QUEUES
from worker.app import SWEEP_SECONDS, app
from worker.drain import LOOK_SECONDS, Drain
from worker.explain import InferAndExplainJob
from worker.ingest import IngestJob
from worker.monitor import LOOK_SECONDS as MONITOR_SECONDS
from worker.monitor import MonitorJob
from worker.notify import NotifyJob
from worker.sweep import SweepJob
from worker.train import TrainJob

logger = logging.getLogger(__name__)

JOBS = {
    "ingest": IngestJob,
    "infer": InferAndExplainJob,
    "train": TrainJob,
    "notify": NotifyJob,
    "monitor": MonitorJob,
    "control": SweepJob,
}
LOOKS = {"control": SWEEP_SECONDS, "monitor": MONITOR_SECONDS}
STOP_SECONDS = 8.0

drains: dict[str, Drain] = {}


def task(function: Callable[[], None]) -> Callable[[], None]:
    """Register `worker.tasks.<name>` on its queue; it carries nothing, so nothing of it is ever retried."""
    name = f"{__name__}.{function.__name__}"
    return app.task(name=name, queue=QUEUES[name], ignore_result=True)(function)


@task
def ingest() -> None:
    """Uploads wait to be read."""
    wake("ingest")


@task
def infer() -> None:
    """Analyses are queued."""
    wake("infer")


@task
def train() -> None:
    """Training runs are queued."""
    wake("train")


@task
def notify() -> None:
    """Events are to be sent."""
    wake("notify")


@task
def monitor() -> None:
    """Something has come that is watched."""
    wake("monitor")


@task
def sweep() -> None:
    """Time to look for what was left lying."""
    wake("control")


def wake(queue: str) -> None:
    if queue in drains:
        drains[queue].wake()
    else:
        logger.warning("a nudge for %s reached a worker without that drain", queue)


def start(*, queues: Iterable[str], node: str) -> None:
    """Start the drains of the queues that this worker consumes."""
    for queue in queues:
        if queue in JOBS:
            look = LOOKS.get(queue, LOOK_SECONDS)
            drains[queue] = Drain(JOBS[queue](), node=node, look_seconds=look)
            drains[queue].start()


def ask_to_stop() -> None:
    for drain in drains.values():
        drain.ask_to_stop()
        if isinstance(drain.job, TrainJob):
            drain.job.interrupt()  # its step may last for days


def stop() -> None:
    ask_to_stop()
    for drain in drains.values():
        drain.stop(STOP_SECONDS)
