"""The life of an association: who may open one, what is logged and audited of it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DatabaseError, close_old_connections, connection
from pynetdicom import evt
from pynetdicom.association import Association

from webapp.audit.services import record
from webapp.dicom.listener.commitment import request_commitment
from webapp.dicom.listener.statuses import FAILED
from webapp.dicom.listener.store import Tally, received_object, store
from webapp.dicom.models import Sender
from webapp.dicom.selectors import Caller, Refusal, sender_of
from webapp.scans.uploads.capacity import Capacity

logger = logging.getLogger(__name__)

REJECTED_PERMANENT, REJECTED_TRANSIENT = 1, 2
BY_USER, BY_PROVIDER = 1, 3
LOCAL_LIMIT_EXCEEDED = 2


@dataclass
class Opened:
    """An accepted association."""

    sender: Sender
    tally: Tally = field(default_factory=Tally)
    since: float = field(default_factory=time.monotonic)


class Associations:
    """Handlers of pynetdicom's events; each runs in its association's thread, with its own connection."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._opened: WeakKeyDictionary[Association, Opened] = WeakKeyDictionary()

    def handlers(self) -> list[tuple[Any, Any]]:
        return [
            (evt.EVT_REQUESTED, self.requested),
            (evt.EVT_C_STORE, self.stored),
            (evt.EVT_C_ECHO, lambda event: 0x0000),
            (evt.EVT_N_ACTION, self.commitment_requested),
            (evt.EVT_RELEASED, self.ended),
            (evt.EVT_ABORTED, self.aborted),
        ]

    def requested(self, event: Any) -> None:
        association = event.assoc
        caller = caller_of(association)
        try:
            close_old_connections()
            sender = sender_of(caller)
            if isinstance(sender, Sender):
                record(actor=sender.user, site=sender.site, action="dicom.association", subject=sender)
                self._opened[association] = Opened(sender)
                return
        except DatabaseError as error:
            logger.error("association rejected: the database fails (%s)", type(error).__name__)
            reject(association, REJECTED_TRANSIENT, BY_PROVIDER, LOCAL_LIMIT_EXCEEDED)
        else:
            _log_refusal(caller, sender)
            reject(association, REJECTED_PERMANENT, BY_USER, sender.diagnostic)
        connection.close()

    def stored(self, event: Any) -> Any:
        opened = self._opened.get(event.assoc)
        if opened is None:
            return FAILED.as_dataset()
        close_old_connections()
        status = store(received_object(event), opened.sender, self._capacity)
        opened.tally.add(status)
        return status.as_dataset()

    def commitment_requested(self, event: Any) -> tuple[Any, None]:
        """N-ACTION of storage commitment: the report follows on an association to the sender."""
        opened = self._opened.get(event.assoc)
        if opened is None:
            return FAILED.as_dataset(), None
        close_old_connections()
        action = event.request.ActionInformation
        data = action.getvalue() if action is not None else b""
        return request_commitment(opened.sender, data, event).as_dataset(), None

    def ended(self, event: Any) -> None:
        self._close(event.assoc, "released")

    def aborted(self, event: Any) -> None:
        self._close(event.assoc, "aborted; what got no status of success has to be sent again")

    def _close(self, association: Association, how: str) -> None:
        opened = self._opened.pop(association, None)
        if opened is not None:
            tally, seconds = opened.tally, time.monotonic() - opened.since
            line = "association of %s: %d stored, %d refused in %.1f s; %s"
            logger.info(line, opened.sender, tally.stored, tally.refused, seconds, how)
        connection.close()


def caller_of(association: Association) -> Caller:
    request: Any = association.requestor.primitive
    remote: Any = association.requestor.address_info
    return Caller(
        calling=request.calling_ae_title.strip(),
        called=request.called_ae_title.strip(),
        address=remote.address,
    )


def reject(association: Association, result: int, source: int, diagnostic: int) -> None:
    """A-ASSOCIATE-RJ (PS3.8 section 9.3.4), and the end of the association's threads."""
    association.acse.send_reject(result, source, diagnostic)
    association.is_rejected = True
    association.kill()


def _log_refusal(caller: Caller, refusal: Refusal) -> None:
    logger.warning(
        "association rejected: %s calls %s from %s; %s",
        caller.calling,
        caller.called,
        caller.address,
        refusal.remedy,
    )
