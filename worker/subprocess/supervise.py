"""Supervises a subprocess of the library until it exits or has to be ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from django.db import connections

from webapp.training.services import HeartbeatReply
from worker.runner import TRANSIENT
from worker.subprocess.classifier_process import ClassifierProcess
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
BEAT_SECONDS = 5.0
SILENCE_SECONDS = 2 * 60 * 60.0


class Ended(StrEnum):
    """Why the process was ended before its time."""

    INTERRUPTED = "interrupted"
    SILENT = "silent"
    CANCELLED = "cancelled"
    LOST = "lost"


def supervise(
    process: ClassifierProcess, beat: Callable[[], HeartbeatReply], interrupted: threading.Event
) -> int | Ended:
    """Its exit status, or why it was ended; `beat` keeps the lease and returns what to do."""
    beat_at = 0.0
    while (status := process.listen(LOOK_SECONDS)) is None:
        if interrupted.is_set():
            return _end(process, Ended.INTERRUPTED)
        if process.silent_seconds > SILENCE_SECONDS:
            return _end(process, Ended.SILENT)
        if time.monotonic() >= beat_at:
            beat_at = time.monotonic() + BEAT_SECONDS
            order = tolerant(beat)
            if order is not HeartbeatReply.CONTINUE:
                return _end(process, Ended.CANCELLED if order is HeartbeatReply.CANCEL else Ended.LOST)
    return status


def tolerant(beat: Callable[[], HeartbeatReply]) -> HeartbeatReply:
    """A database that is away for a moment does not end the work; a lease that is lost by then does."""
    try:
        return beat()
    except TRANSIENT as error:
        logger.warning("heartbeat: %s", describe(error))
        connections.close_all()
        return HeartbeatReply.CONTINUE


def _end(process: ClassifierProcess, why: Ended) -> Ended:
    process.end()
    return why
