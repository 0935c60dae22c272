"""C-STORE: an object becomes an upload, and its status is the true one."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Protocol

from django.db import DatabaseError, OperationalError, connection

from webapp.accounts.models import Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import can
from webapp.core.errors import CodedError
from webapp.dicom.listener import statuses
from webapp.dicom.listener.sockets import is_overflown
from webapp.dicom.listener.statuses import Status
from webapp.dicom.part10 import file_chunks, file_head, is_uid
from webapp.scans.services import upload_store
from webapp.scans.uploads.capacity import Capacity, demand_capacity

logger = logging.getLogger(__name__)


@dataclass
class Tally:
    """What came of the objects of one association, by status."""

    counts: dict[int, int] = field(default_factory=dict)

    def add(self, status: Status) -> None:
        self.counts[status.code] = self.counts.get(status.code, 0) + 1

    @property
    def stored(self) -> int:
        return self.counts.get(statuses.SUCCESS.code, 0)

    @property
    def refused(self) -> int:
        return sum(self.counts.values()) - self.stored


@dataclass(frozen=True)
class ReceivedObject:
    """An object as a C-STORE request brings it: what the command set states, and the data set's bytes."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    abstract_syntax: str
    data_set: BytesIO


def received_object(event: Any) -> ReceivedObject:
    request, context = event.request, event.context
    return ReceivedObject(
        sop_class=str(request.AffectedSOPClassUID),
        sop_instance=str(request.AffectedSOPInstanceUID),
        transfer_syntax=str(context.transfer_syntax),
        abstract_syntax=str(context.abstract_syntax),
        data_set=request.DataSet,
    )


class Origin(Protocol):
    """Where an object comes from: the site and the account that it is uploaded by."""

    site: Site
    user: User


def store(received: ReceivedObject, sender: Origin, capacity: Capacity) -> Status:
    """Store one object; on success its bytes are on the disk and its row is committed.

    Raises nothing: every failure is a status, and a line in the log with the remedy.
    """
    try:
        return _invalid(received) or _refused(sender, capacity) or _stored(received, sender)
    except CodedError as error:
        logger.warning("object of %s refused (%s): %s", sender, error.code, error.remedy)
        return statuses.BY_CODE.get(error.code, statuses.FAILED)
    except OSError as error:
        logger.error("object of %s not stored: %s; check the disk of HILUM_DATA", sender, error.strerror)
        return statuses.OUT_OF_RESOURCES
    except DatabaseError as error:
        # A broken connection is replaced at the next request.
        connection.close()
        name = type(error).__name__
        logger.error("object of %s not stored: %s; check the database, it may be sent again", sender, name)
        busy = isinstance(error, OperationalError)
        return statuses.OUT_OF_RESOURCES if busy else statuses.FAILED
    except Exception:
        logger.exception("object of %s not stored: an internal error; report it with this line", sender)
        return statuses.FAILED


def _invalid(received: ReceivedObject) -> Status | None:
    if received.sop_class != received.abstract_syntax:
        return statuses.MISMATCH
    if not is_uid(received.sop_instance):
        return statuses.INVALID_INSTANCE
    return statuses.TOO_LARGE if is_overflown(received.data_set) else None


def _refused(sender: Origin, capacity: Capacity) -> Status | None:
    if not can(sender.user, Permission.SCAN_UPLOAD, sender.site):
        logger.warning("objects of %s refused: its user lacks %s", sender, Permission.SCAN_UPLOAD)
        return statuses.NOT_AUTHORIZED
    demand_capacity(user=sender.user, site=sender.site, capacity=capacity)
    return None


def _stored(received: ReceivedObject, sender: Origin) -> Status:
    if not received.data_set.getbuffer().nbytes:
        return statuses.EMPTY
    head = file_head(
        sop_class=received.sop_class,
        sop_instance=received.sop_instance,
        transfer_syntax=received.transfer_syntax,
    )
    upload_store(
        user=sender.user,
        site=sender.site,
        chunks=file_chunks(head, received.data_set),
        filename=f"{received.sop_instance}.dcm",
    )
    return statuses.SUCCESS
