"""N-ACTION of storage commitment: recorded, and reported by the worker (PS3.4 section J.3.2)."""

from __future__ import annotations

import logging
from typing import Any

from django.db import DatabaseError

from webapp.core.errors import CodedError
from webapp.dicom.commitment import commitment_request, read_request
from webapp.dicom.listener import statuses
from webapp.dicom.listener.statuses import Status
from webapp.dicom.models import Sender

logger = logging.getLogger(__name__)

REQUEST_COMMITMENT = 1
MOST_BYTES = 8 << 20


def request_commitment(sender: Sender, data: bytes, event: Any) -> Status:
    """Raises nothing: every failure is a status, and a line in the log."""
    if event.action_type != REQUEST_COMMITMENT:
        return statuses.NO_SUCH_ACTION
    if sender.report_to is None:
        logger.warning("commitment refused: %s has no peer to report to; set one at /admin/", sender)
        return statuses.NO_REPORT_ADDRESS
    if len(data) > MOST_BYTES:
        return statuses.INVALID_ARGUMENT
    try:
        transaction_uid, references = read_request(data, str(event.context.transfer_syntax))
        commitment_request(sender=sender, transaction_uid=transaction_uid, references=references)
    except ValueError:
        return statuses.INVALID_ARGUMENT
    except (CodedError, DatabaseError, OSError) as error:
        logger.error("commitment of %s not recorded: %s", sender, type(error).__name__)
        return statuses.FAILED
    return statuses.SUCCESS
