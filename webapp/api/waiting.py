"""Long polling: an answer that is still to come is waited for, in bounded time, by a few threads at once."""

from __future__ import annotations

import threading
import time
from uuid import UUID

from webapp.analysis.state import states_of_uploads
from webapp.core.errors import CodedError
from webapp.scans.models import Upload

LONGEST, FIRST_LOOK, SLOWEST_LOOK, GROWTH = 30, 0.2, 1.0, 1.4
# Of a process' eight threads; who finds all of these taken is answered at once and asks again.
_places = threading.BoundedSemaphore(3)


def seconds_to_wait(text: str | None) -> int:
    """`?wait=`: 0 to 30 seconds; raises CodedError `invalid`."""
    text = text or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= 2 and int(text) <= LONGEST):
        raise CodedError("invalid", fields={"wait": [f"A whole number from 0 to {LONGEST} is needed."]})
    return int(text)


def wait_until_finished(upload_id: UUID, seconds: int) -> None:
    """Until nothing more becomes of the upload by itself, or the time is over, at few queries a look."""
    if not seconds or not _places.acquire(blocking=False):
        return
    try:
        end, pause = time.monotonic() + seconds, FIRST_LOOK
        while is_under_way(upload_id) and (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * GROWTH, SLOWEST_LOOK)
    finally:
        _places.release()


def is_under_way(upload_id: UUID) -> bool:
    state = states_of_uploads(Upload.objects.filter(pk=upload_id)).get(upload_id)
    return state is not None and not state.finished
