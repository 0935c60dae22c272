"""STOW-RS (PS3.18 10.5): one request an object, so that each is confirmed alone."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from webapp.core import storage
from webapp.results.models import Destination, ResultObject
from webapp.webhooks.addresses import target_of
from worker.sending.outcome import SendError, authorization, check_status
from worker.support.http_client import request

SECONDS, MOST = 60.0, 1 << 18
FAILED_SEQUENCE, REASON = "00081198", "00081197"
DUPLICATE = 0x0111


def search(destination: Destination) -> str:
    """One QIDO-RS search, whose result is not read; raises SendError, AddressRefused and OSError."""
    headers = {"Accept": "application/dicom+json", **authorization(destination)}
    target = target_of(f"{destination.url.rstrip('/')}/studies?limit=1")
    status, _ = request(target, "GET", None, headers, most=0, in_all=SECONDS)
    check_status(status)
    return "The server responded to a search for studies."


def store(
    destination: Destination, objects: Sequence[ResultObject], accepted: Callable[[ResultObject], None]
) -> None:
    """Send the objects, and call `accepted` for each as soon as the server has confirmed it.

    Raises SendError, AddressRefused and OSError, after all that the server would take was sent.
    """
    target = target_of(f"{destination.url.rstrip('/')}/studies")
    headers, refused = authorization(destination), []
    for one in objects:
        with storage.open_file(one.stored_name) as file:
            body, boundary = _multipart(file.read())
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        sent = {"Content-Type": kind, "Accept": "application/dicom+json", **headers}
        status, response = request(target, "POST", body, sent, most=MOST, in_all=SECONDS)
        reason = _failure(response)
        if reason == DUPLICATE or (200 <= status < 300 and reason is None):
            accepted(one)
        elif reason is not None or status in (409, 415):
            refused.append(
                f"{one.kind}: HTTP status {status}" + (f", reason 0x{reason:04X}" if reason else "")
            )
        else:
            check_status(status)
    if refused:
        raise SendError("stow_refused", "; ".join(refused), final=True, down=False)


def _multipart(encoded: bytes) -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return head + encoded + f"\r\n--{boundary}--\r\n".encode(), boundary


def _failure(response: bytes) -> int | None:
    """The failure reason of the one object, None where the response states none."""
    try:
        failed: Any = json.loads(response)[FAILED_SEQUENCE]["Value"][0]
        return int(failed[REASON]["Value"][0])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
