"""Storage commitment (PS3.4 annex J): which objects are kept safely, and the report that states it."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when the module loads
    StorageCommitmentPushModel,
)

from classifier.errors import Refused
from classifier.images.sandbox.response import Want
from webapp.core import storage
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import JobStatus
from webapp.dicom.models import Commitment, Sender
from webapp.dicom.parsing import inspect, scratch
from webapp.dicom.part10 import file_head, is_uid
from webapp.scans.models import Scan, Upload, UploadStatus

MOST_REFERENCES = 20_000
# PS3.3 C.14.1.1: processing failure, no such object instance, class and instance conflict.
PROCESSING_FAILURE, NO_SUCH_INSTANCE, CLASS_CONFLICT = 0x0110, 0x0112, 0x0119
PROCESSED_WITHIN = timedelta(hours=24)
FIRST_PAUSE, LONGEST_PAUSE, MOST_TRIES = 5, 900, 200
PENDING = (UploadStatus.RECEIVED, UploadStatus.PARSING)

Reference = tuple[str, str]


@dataclass
class Kept:
    """What is known of the referenced objects; `failed` by SOP instance, with the reason."""

    committed: list[Reference] = field(default_factory=list)
    failed: dict[Reference, int] = field(default_factory=dict)
    pending: list[Reference] = field(default_factory=list)


def read_request(data: bytes, transfer_syntax: str) -> tuple[str, list[Reference]]:
    """Transaction and references of an N-ACTION; raises ValueError, CodedError `unavailable`."""
    head = file_head(
        sop_class=StorageCommitmentPushModel, sop_instance="2.25.1", transfer_syntax=transfer_syntax
    )
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        path = Path(folder, uuid.uuid4().hex)
        path.write_bytes(head + data)
        try:
            found = json.loads(inspect(path, Want.METADATA).content)
        except Refused as refused:
            raise ValueError("not a data set") from refused
    items = _values(found, "00081199")
    references = [(_text(item, "00081150"), _text(item, "00081155")) for item in items]
    transaction_uid = _text(found, "00081195")
    uids = [transaction_uid, *(uid for pair in references for uid in pair)]
    if not references or len(references) > MOST_REFERENCES or not all(map(is_uid, uids)):
        raise ValueError("no transaction, no references or too many")
    return transaction_uid, references


@transaction.atomic
def commitment_request(
    *, sender: Sender, transaction_uid: str, references: Sequence[Reference]
) -> Commitment:
    """Queue a report; the same transaction again is reported again."""
    wanted = {"references": [list(pair) for pair in references]}
    commitment, created = Commitment.objects.get_or_create(
        sender=sender, transaction_uid=transaction_uid, defaults=wanted
    )
    if not created and commitment.status in (JobStatus.DONE, JobStatus.FAILED):
        rows = Commitment.objects.filter(pk=commitment.pk)
        rows.update(status=JobStatus.QUEUED, attempts=0, asked_again=0, next_at=Now(), **wanted)
    notify_workers(Queue.DICOM)
    return commitment


def commitment_claim() -> Commitment | None:
    return next(iter(Commitment.objects.filter(next_at__lte=Now()).claim()), None)


def kept(commitment: Commitment) -> Kept:
    """Which of the referenced objects have bytes on the disk that will not be deleted.

    An object that waits to be processed is pending: its bytes go if it turns out not to be readable.
    """
    found, references = Kept(), [tuple(pair) for pair in commitment.references]
    site = commitment.sender.site
    uids = [uid for _, uid in references]
    scans: dict[str, Scan] = {}
    for start in range(0, len(uids), 500):
        part = Scan.objects.filter(site=site, sop_instance_uid__in=uids[start : start + 500])
        scans |= {scan.sop_instance_uid: scan for scan in part.select_related("upload")}
    names = {name.removesuffix(".dcm") for name in _waiting(commitment.sender)}
    late = timezone.now() - commitment.created_at > PROCESSED_WITHIN
    for reference in references:
        sop_class, uid = reference
        scan = scans.get(uid)
        if scan is None and uid in names and not late:
            found.pending.append(reference)
        elif scan is None or not storage.path_of(scan.upload.stored_name).exists():
            found.failed[reference] = PROCESSING_FAILURE if uid in names else NO_SUCH_INSTANCE
        elif str(scan.metadata.get("SOPClassUID") or sop_class) != sop_class:
            found.failed[reference] = CLASS_CONFLICT
        else:
            found.committed.append(reference)
    return found


def commitment_wait(*, commitment: Commitment, code: str = "") -> bool:
    """Try again later, for some days; then fail with the code."""
    tries = commitment.asked_again + 1
    if tries > MOST_TRIES:
        return commitment.fail(code or "pending")
    pause = timedelta(seconds=min(FIRST_PAUSE * 2 ** min(tries - 1, 10), LONGEST_PAUSE))
    again = {"next_at": Now() + pause, "asked_again": tries, "attempts": 0, "error_code": code}
    return commitment.finish(JobStatus.QUEUED, **again)


def commitment_done(*, commitment: Commitment, found: Kept) -> bool:
    return commitment.finish(JobStatus.DONE, failed_objects=len(found.failed))


def _waiting(sender: Sender) -> list[str]:
    waiting = Upload.objects.filter(site=sender.site, status__in=PENDING).exclude(filename="")
    return list(waiting.values_list("filename", flat=True))


def _values(found: dict[str, Any], tag: str) -> list[Any]:
    element = found.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _text(item: Any, tag: str) -> str:
    values = _values(item, tag) if isinstance(item, dict) else []
    return str(values[0]) if values else ""
