"""Long polling: wait for a pending result, in bounded time, in a few threads at once."""

from __future__ import annotations

import threading
import time
from uuid import UUID

from webapp.analysis.state import states_of_uploads
from webapp.core.errors import CodedError
from webapp.scans.models import Upload

LONGEST, FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 30, 0.2, 1.0, 1.4
# Of a process' eight threads; when all of these are taken the response comes at once.
_places = threading.BoundedSemaphore(3)


def seconds_to_wait(text: str | None) -> int:
    """`?wait=`: 0 to 30 seconds; raises CodedError `invalid`."""
    text = text or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= 2 and int(text) <= LONGEST):
        raise CodedError("invalid", fields={"wait": [f"Must be an integer from 0 to {LONGEST}."]})
    return int(text)


def wait_until_finished(upload_id: UUID, seconds: int) -> None:
    """Wait until the upload is finished, or the time is over; a few queries per poll."""
    if not seconds or not _places.acquire(blocking=False):
        return
    try:
        end, pause = time.monotonic() + seconds, FIRST_PAUSE
        while is_under_way(upload_id) and (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * GROWTH, LONGEST_PAUSE)
    finally:
        _places.release()


def is_under_way(upload_id: UUID) -> bool:
    state = states_of_uploads(Upload.objects.filter(pk=upload_id)).get(upload_id)
    return state is not None and not state.finished
