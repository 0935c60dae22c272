"""Freezing what is labelled: an immutable manifest, known by its hash, in which no patient changes sides."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from webapp.accounts.models import Site, User
from webapp.accounts.services import can
from webapp.audit.services import record
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.core.jobs import table as jobs
from webapp.core.jobs.queues import notify_workers
from webapp.training.data import DataSet, as_csv, counts_of, data_set
from webapp.training.models import AuditStatus, Snapshot, SnapshotAudit, SnapshotPatient, TestedScan

TRAIN = "worker.tasks.train"
AUDIT_LEASE = timedelta(seconds=60)
FOLDER = "snapshots"
ATTEMPTS = 3


def snapshot_create(*, site: Site | None, slot: str, actor: User) -> tuple[Snapshot, bool]:
    """Freeze the labelled scans of the site (None: of all) and queue their audit; answers whether it is new.

    The same labels give the earlier snapshot. A patient who was once in a test part stays there. Raises
    CodedError `forbidden`, `nothing_labelled`.
    """
    if not can(actor, "training.start", site):
        raise CodedError("forbidden")
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
            made_by=actor,
            fingerprint=fingerprint,
            findings=list(data.findings),
            counts=counts_of(data),
        )
        snapshot.stored_name = f"{FOLDER}/{snapshot.pk}.csv"
        _store(snapshot.stored_name, content)
        try:
            return _keep(snapshot, data, actor), True
        except IntegrityError:
            # Somebody froze the same patients a moment ago: what they are called is known now.
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
    known = dict(SnapshotPatient.objects.filter(patient__in=in_rows).values_list("patient", "part"))
    SnapshotPatient.objects.bulk_create(
        SnapshotPatient(patient_id=patient, pseudonym=data.names[patient], part=part)
        for patient, part in parts.items()
        if patient not in known
    )
    came_in = [patient for patient, part in parts.items() if part == "test" and known.get(patient) != "test"]
    SnapshotPatient.objects.filter(patient__in=came_in).update(part="test")
    tested = [TestedScan(scan=row.scan) for row in data.rows if row.part == "test"]
    TestedScan.objects.bulk_create(tested, ignore_conflicts=True)
    SnapshotAudit.objects.create(snapshot=snapshot)
    detail = {"fingerprint": snapshot.fingerprint, "images": len(data.rows)}
    record(actor=actor, site=snapshot.site, action="snapshot.created", subject=snapshot, detail=detail)
    notify_workers(TRAIN, snapshot.pk)
    return snapshot


# --- The data audit ---------------------------------------------------------------------------------


def audit_claim(*, lease: timedelta = AUDIT_LEASE) -> SnapshotAudit | None:
    """Take the oldest audit that waits; the worn-out ones are given up."""
    jobs.give_up(SnapshotAudit.objects.all())
    keys = [row.pk for row in jobs.claim(SnapshotAudit.objects.all(), n=1, lease=lease)]
    return SnapshotAudit.objects.select_related("snapshot__site").filter(pk__in=keys).first()


@transaction.atomic
def audit_done(*, audit: SnapshotAudit, token: uuid.UUID, warnings: Sequence[dict[str, Any]]) -> bool:
    """Keep what the audit warned of; False when the attempt has lost its lease."""
    mine = jobs.finish(audit, token, status=AuditStatus.DONE, warnings=list(warnings), error_code="")
    if mine:
        detail = {"warnings": [warning["code"] for warning in warnings]}
        site, subject = audit.snapshot.site, audit.snapshot
        record(actor=None, site=site, action="snapshot.audited", subject=subject, detail=detail)
    return mine


def audit_fail(*, audit: SnapshotAudit, token: uuid.UUID, code: str) -> bool:
    """The audit broke off; a training on the snapshot goes on without it, and makes its own."""
    return jobs.finish(audit, token, status=AuditStatus.FAILED, error_code=code)
