"""Creating snapshots: immutable manifests identified by their hash; no patient changes sides."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from webapp.accounts.models import Site, User
from webapp.accounts.services import demand
from webapp.audit.services import record
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import JobStatus
from webapp.training.data_set import DataSet, as_csv, counts_of, data_set
from webapp.training.models import DataValidation, PatientSplit, Snapshot, TestSetScan

FOLDER = "snapshots"
ATTEMPTS = 3


def snapshot_create(*, site: Site | None, slot: str, actor: User) -> tuple[Snapshot, bool]:
    """Create a snapshot of the labelled scans of the site (None: of all sites) and queue their validation.

    Returns the snapshot and whether it is new: the same labels give the earlier one. A patient once in the
    test set stays there. Raises CodedError `forbidden`, `nothing_labelled`.
    """
    demand(actor, "training.start", site)
    for _ in range(ATTEMPTS):
        data = data_set(site=site, slot=slot)
        if not data.rows:
            raise CodedError("nothing_labelled")
        content = as_csv(data, FOLDER)
        fingerprint = hashlib.sha256(content).hexdigest()
        earlier = Snapshot.objects.filter(site=site, slot=slot, fingerprint=fingerprint).first()
        if earlier:
            return earlier, False
        snapshot = Snapshot(
            site=site,
            slot=slot,
            created_by=actor,
            fingerprint=fingerprint,
            findings=list(data.findings),
            counts=counts_of(data),
        )
        snapshot.stored_name = f"{FOLDER}/{snapshot.pk}.csv"
        _store(snapshot.stored_name, content)
        try:
            return _keep(snapshot, data, actor), True
        except IntegrityError:
            # Another snapshot assigned pseudonyms to the same patients: read them again.
            storage.delete_file(snapshot.stored_name)
    raise CodedError("conflict")


def _store(name: str, content: bytes) -> None:
    draft = settings.HILUM_DATA / "incoming" / f"{uuid.uuid4().hex}.csv"
    draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft.write_bytes(content)
    storage.put_file(draft, name)


@transaction.atomic
def _keep(snapshot: Snapshot, data: DataSet, actor: User) -> Snapshot:
    snapshot.save(force_insert=True)
    in_rows = {row.patient for row in data.rows}
    parts = {patient: data.parts[patient] for patient in in_rows}
    known = dict(PatientSplit.objects.filter(patient__in=in_rows).values_list("patient", "part"))
    PatientSplit.objects.bulk_create(
        PatientSplit(patient_id=patient, pseudonym=data.names[patient], part=part)
        for patient, part in parts.items()
        if patient not in known
    )
    came_in = [patient for patient, part in parts.items() if part == "test" and known.get(patient) != "test"]
    PatientSplit.objects.filter(patient__in=came_in).update(part="test")
    tested = [TestSetScan(scan=row.scan) for row in data.rows if row.part == "test"]
    TestSetScan.objects.bulk_create(tested, ignore_conflicts=True)
    DataValidation.objects.create(snapshot=snapshot)
    detail = {"fingerprint": snapshot.fingerprint, "images": len(data.rows)}
    record(actor=actor, site=snapshot.site, action="snapshot.created", subject=snapshot, detail=detail)
    notify_workers(Queue.TRAIN)
    return snapshot


@transaction.atomic
def validation_done(*, validation: DataValidation, warnings: Sequence[dict[str, Any]]) -> bool:
    """Keep what the validation warned of; False if the lease was lost."""
    mine = validation.finish(JobStatus.DONE, warnings=list(warnings))
    if mine:
        detail = {"warnings": [warning["code"] for warning in warnings]}
        site, subject = validation.snapshot.site, validation.snapshot
        record(actor=None, site=site, action="snapshot.validated", subject=subject, detail=detail)
    return mine
