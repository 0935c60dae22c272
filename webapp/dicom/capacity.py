"""Whether more images can be taken: free disk space, and how many wait to be processed."""

from __future__ import annotations

import shutil
import threading
import time
from enum import StrEnum

from django.conf import settings

from webapp.scans.models import Upload, UploadStatus

KNOWN_SECONDS = 1.0


class Full(StrEnum):
    """Why nothing is taken, with the remedy."""

    DISK = "the disk is nearly full; free space in HILUM_DATA (or lower HILUM_DISK_FLOOR)"
    QUEUE = "too many files wait to be processed; check the ingest worker (or raise HILUM_MAX_WAITING)"


class Capacity:
    """Looks at most once a second: it costs a query, and many threads ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._known: Full | None = None

    def exceeded(self) -> Full | None:
        with self._lock:
            if time.monotonic() >= self._until:
                self._known = exceeded()
                self._until = time.monotonic() + KNOWN_SECONDS
            return self._known


def exceeded() -> Full | None:
    if shutil.disk_usage(settings.HILUM_DATA).free < settings.HILUM_DISK_FLOOR:
        return Full.DISK
    # Counting stops at the bound.
    waiting = Upload.objects.filter(status=UploadStatus.RECEIVED)[: settings.HILUM_MAX_WAITING]
    return Full.QUEUE if waiting.count() >= settings.HILUM_MAX_WAITING else None
