"""The job runners of this process, one for each queue that it consumes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from django.db import DatabaseError, connections

from webapp.core.jobs.presence import REPORT_SECONDS, report_presence
from webapp.core.jobs.queues import Queue
from worker.jobs.backup import BackupJob
from worker.jobs.dicom.job import DicomJob
from worker.jobs.explain import InferAndExplainJob
from worker.jobs.ingest import IngestJob
from worker.jobs.monitor import LOOK_SECONDS as MONITOR_SECONDS
from worker.jobs.monitor import MonitorJob
from worker.jobs.notify import NotifyJob
from worker.jobs.send import SendJob
from worker.jobs.sweep import SweepJob
from worker.jobs.train import TrainJob
from worker.runner import LOOK_SECONDS, Heartbeat, JobRunner, end_process
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 15
JOBS = {
    Queue.INGEST: IngestJob,
    Queue.INFER: InferAndExplainJob,
    Queue.TRAIN: TrainJob,
    Queue.NOTIFY: NotifyJob,
    Queue.SEND: SendJob,
    Queue.MONITOR: MonitorJob,
    Queue.DICOM: DicomJob,
    Queue.BACKUP: BackupJob,
    Queue.CONTROL: SweepJob,
}
INTERVALS = {Queue.CONTROL: float(SWEEP_SECONDS), Queue.MONITOR: MONITOR_SECONDS}
# `tools/supervise.py` and service managers kill a process that takes longer.
STOP_SECONDS = 2.0

runners: dict[Queue, JobRunner] = {}
_stopping = threading.Event()


def start(*, queues: Iterable[str], node: str) -> None:
    """Start the job runners of these queues, and report regularly that they are there."""
    for queue in map(Queue, queues):
        interval = INTERVALS.get(queue, LOOK_SECONDS)
        runners[queue] = JobRunner(JOBS[queue](), node=node, look_seconds=interval)
        runners[queue].start()
    threading.Thread(target=_report, args=[tuple(runners), node], name="presence", daemon=True).start()


def wake(queue: Queue) -> None:
    runners[queue].wake()


def ask_to_stop() -> None:
    _stopping.set()
    for runner in runners.values():
        runner.ask_to_stop()
        if isinstance(runner.job, TrainJob):
            runner.job.interrupt()  # its step may last for days


def stop() -> None:
    """End the process within STOP_SECONDS; work that takes longer goes back into the queue."""
    ask_to_stop()
    end = time.monotonic() + STOP_SECONDS
    left = [runner.job.name for runner in runners.values() if not runner.stop(end - time.monotonic())]
    Heartbeat.release_all()
    end_process(f"stopped; queued again: {', '.join(left) or 'nothing'}", status=0)


def _report(queues: tuple[Queue, ...], node: str) -> None:
    while True:
        try:
            report_presence(queues, node)
        except DatabaseError as error:
            logger.warning("presence not reported: %s", describe(error))
        connections.close_all()
        if _stopping.wait(REPORT_SECONDS):
            return
