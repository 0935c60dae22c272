"""A thread that works off a job table: when it is woken, and every few seconds anyway.

So nothing is lost with a message, a broker that is gone for good, or a dead scheduler.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import ClassVar

from django.db import Error, InterfaceError, OperationalError, close_old_connections, connections

from webapp.core.jobs.table import LEASE, JobRow
from worker.support.readiness import ReadinessFile
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
EX_SOFTWARE = 70


class Unavailable(Exception):
    """Something that a job needs is away for a while; the claimed rows come back with the lease."""


TRANSIENT = (OperationalError, InterfaceError, Unavailable)


class Job:
    """One kind of work. `prepare` runs once; `step` works off one claim and returns whether there was one."""

    name: ClassVar[str]

    def prepare(self) -> None:
        """Load what the steps need."""

    def step(self) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        """Release what `prepare` loaded."""


class JobRunner:
    """Runs a job in one thread. Transient errors and those of a disk are retried; any other ends the process.

    The supervisor starts a process that has ended again, and the lease returns the rows that it held.
    """

    def __init__(self, job: Job, *, node: str, look_seconds: float = LOOK_SECONDS) -> None:
        self.job = job
        self.look_seconds = look_seconds
        self._readiness = ReadinessFile(job.name, node)
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._prepared = False
        self._thread = threading.Thread(target=self._run, name=f"runner-{job.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def ask_to_stop(self) -> None:
        """Finish the current step and begin no other."""
        self._stopping.set()
        self._woken.set()

    def stop(self, timeout: float) -> bool:
        """Ask to stop and wait; False when the step is still running after `timeout` seconds."""
        self.ask_to_stop()
        self._thread.join(max(timeout, 0))
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            pause = FIRST_PAUSE
            while not self._stopping.is_set():
                try:
                    self._work()
                    pause, wait = FIRST_PAUSE, self.look_seconds
                except (*TRANSIENT, OSError) as error:
                    logger.warning("%s: %s; retrying in %.1f s", self.job.name, describe(error), pause)
                    connections.close_all()
                    pause, wait = min(pause * 2, LONGEST_PAUSE), pause
                if not self._stopping.is_set():
                    self._woken.wait(wait)
            self.job.close()
        except Exception as error:
            end_process(f"{self.job.name} failed: {describe(error)}")
        finally:
            self._readiness.remove()
            connections.close_all()

    def _work(self) -> None:
        if not self._prepared:
            self._readiness.write("starting")
            self.job.prepare()
            self._prepared = True
        self._woken.clear()
        while not self._stopping.is_set():
            close_old_connections()
            self._readiness.write("ready")
            if not self.job.step():
                return


class Heartbeat:
    """Extends the lease of a job's claim while the work goes on; after `limit` seconds it ends the process.

    A hung step must not hold its rows for ever, and no thread can be stopped from outside.
    """

    active: ClassVar[set[Heartbeat]] = set()

    def __init__(self, job: JobRow, *, limit: float) -> None:
        self.job, self.limit = job, limit
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self.active.add(self)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.active.discard(self)
        self._done.set()
        self._thread.join()

    @classmethod
    def release_all(cls) -> None:
        """Queue everything again that this process is working on."""
        for heartbeat in list(cls.active):
            try:
                heartbeat.job.release()
            except Error as error:
                logger.warning("claim not released: %s", describe(error))

    def _run(self) -> None:
        end = time.monotonic() + self.limit
        try:
            while not self._done.wait(LEASE.total_seconds() / 4):
                if time.monotonic() > end:
                    end_process(f"a step took longer than {self.limit:.0f} s")
                self._extend()
        finally:
            connections.close_all()

    def _extend(self) -> None:
        try:
            self.job.extend_lease()
        except TRANSIENT as error:
            logger.warning("heartbeat: %s", describe(error))
            connections.close_all()


def end_process(why: str, *, status: int = EX_SOFTWARE) -> None:
    logger.log(logging.CRITICAL if status else logging.INFO, "%s; this process ends", why)
    logging.shutdown()
    os._exit(status)
