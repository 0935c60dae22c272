"""A thread that empties a ledger: when nudged, and every few seconds unasked.

So neither a lost message, nor a broker that is gone for good, nor a dead scheduler loses anything.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from django.db import InterfaceError, OperationalError, close_old_connections, connections

from webapp.core.jobs import table as jobs
from worker.support.readiness import Pulse
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=20)
LOOK_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
EX_SOFTWARE = 70


class Unavailable(Exception):
    """Something that a job needs is away for a while; what it holds comes back with the lease."""


TRANSIENT = (OperationalError, InterfaceError, Unavailable)


class Job(Protocol):
    """One kind of work. `prepare` runs once, `step` works off one claim and says whether there was any."""

    name: str

    def prepare(self) -> None: ...
    def step(self) -> bool: ...
    def close(self) -> None: ...


class JobRunner:
    """Runs a job in one thread. Transient errors and a disk's are tried again; any other ends the process.

    A process that ends is started afresh by whoever supervises it, and the lease brings back what it held.
    """

    def __init__(self, job: Job, *, node: str, look_seconds: float = LOOK_SECONDS) -> None:
        self.job = job
        self.look_seconds = look_seconds
        self._pulse = Pulse(job.name, node)
        self._nudged = threading.Event()
        self._stopping = threading.Event()
        self._prepared = False
        self._thread = threading.Thread(target=self._run, name=f"drain-{job.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._nudged.set()

    def ask_to_stop(self) -> None:
        """The step in hand is finished, no other begun."""
        self._stopping.set()
        self._nudged.set()

    def stop(self, timeout: float) -> None:
        self.ask_to_stop()
        self._thread.join(timeout)
        if self._thread.is_alive():
            logger.warning("%s did not finish in time; its lease will run out", self.job.name)

    def _run(self) -> None:
        try:
            pause = FIRST_PAUSE
            while not self._stopping.is_set():
                try:
                    self._empty()
                    pause, wait = FIRST_PAUSE, self.look_seconds
                except (*TRANSIENT, OSError) as error:
                    logger.warning("%s: %s; trying again in %.1f s", self.job.name, describe(error), pause)
                    connections.close_all()
                    pause, wait = min(pause * 2, LONGEST_PAUSE), pause
                if not self._stopping.is_set():
                    self._nudged.wait(wait)
            self.job.close()
        except Exception as error:
            end_process(f"{self.job.name} failed: {describe(error)}")
        finally:
            self._pulse.stop()
            connections.close_all()

    def _empty(self) -> None:
        if not self._prepared:
            self._pulse.beat("starting")
            self.job.prepare()
            self._prepared = True
        self._nudged.clear()
        while not self._stopping.is_set():
            close_old_connections()
            self._pulse.beat("ready")
            if not self.job.step():
                return


class Heartbeat:
    """Keeps the lease of a claim alive while its work goes on, for `limit` seconds; then ends the process.

    A hung step must not hold its rows for ever, and no thread can be made to stop from outside.
    """

    def __init__(self, model: type[jobs.JobRow], token: UUID, *, limit: float) -> None:
        self.model, self.token, self.limit = model, token, limit
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

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
            jobs.extend(self.model, self.token, lease=LEASE)
        except TRANSIENT as error:
            logger.warning("heartbeat: %s", describe(error))
            connections.close_all()


def end_process(why: str) -> None:
    logger.critical("%s; this process ends", why)
    logging.shutdown()
    os._exit(EX_SOFTWARE)
