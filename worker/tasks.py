"""The tasks: each wakes the drain of its queue. What is to be done stands in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from webapp.core.jobs.queues import QUEUES
from worker.app import SWEEP_SECONDS, app
from worker.jobs.explain import InferAndExplainJob
from worker.jobs.ingest import IngestJob
from worker.jobs.monitor import LOOK_SECONDS as MONITOR_SECONDS
from worker.jobs.monitor import MonitorJob
from worker.jobs.notify import NotifyJob
from worker.jobs.sweep import SweepJob
from worker.jobs.train import TrainJob
from worker.runner import LOOK_SECONDS, JobRunner

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

runners: dict[str, JobRunner] = {}


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
    if queue in runners:
        runners[queue].wake()
    else:
        logger.warning("a nudge for %s reached a worker without that drain", queue)


def start(*, queues: Iterable[str], node: str) -> None:
    """Start the drains of the queues that this worker consumes."""
    for queue in queues:
        if queue in JOBS:
            look = LOOKS.get(queue, LOOK_SECONDS)
            runners[queue] = JobRunner(JOBS[queue](), node=node, look_seconds=look)
            runners[queue].start()


def ask_to_stop() -> None:
    for runner in runners.values():
        runner.ask_to_stop()
        if isinstance(runner.job, TrainJob):
            runner.job.interrupt()  # its step may last for days


def stop() -> None:
    ask_to_stop()
    for runner in runners.values():
        runner.stop(STOP_SECONDS)
