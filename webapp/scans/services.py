"""Writes to uploads and scans, for pages, API and worker; permissions are checked by the caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import DataError, IntegrityError, transaction
from django.db.models import Q
from django.dispatch import receiver

from classifier.images.limits import MAX_FILE_BYTES
from classifier.reasons import RefusalReason
from webapp.accounts.models import Site, User
from webapp.audit.services import record
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import job_failed
from webapp.scans.dicom_values import text
from webapp.scans.filing import file_scan
from webapp.scans.models import Scan, ScanMove, Upload, UploadStatus
from webapp.scans.patients.corrections import provisional_replace
from webapp.scans.patients.identity import identifiers_of
from webapp.scans.patients.pseudonymity import metadata_for_site
from webapp.scans.signals import scans_created
from webapp.scans.uploads.files import ParsedScan, Received, original_name, receive
from webapp.scans.uploads.stated_metadata import StatedMetadata
from webapp.webhooks.kinds import EventKind
from webapp.webhooks.services import announce


def upload_store(
    *,
    user: User,
    site: Site,
    chunks: Iterable[bytes],
    filename: str = "",
    stated: StatedMetadata | None = None,
    declared: int = 0,
    max_bytes: int = MAX_FILE_BYTES,
) -> tuple[Upload, bool]:
    """Store an upload, after `scan.upload` was checked; returns it and whether it is new.

    The same bytes at the same site are the earlier upload; one that failed or was refused is tried again.
    Raises CodedError `too_large` (by the `declared` size too), `empty_file`, or `patient_conflict` when the
    earlier one belongs to another patient.
    """
    received = receive(chunks, declared=declared, max_bytes=max_bytes)
    return store_received(user=user, site=site, received=received, filename=filename, stated=stated)


def store_received(
    *,
    user: User,
    site: Site,
    received: Received,
    filename: str = "",
    stated: StatedMetadata | None = None,
    parent: Upload | None = None,
) -> tuple[Upload, bool]:
    """Store received bytes and remove their file; `parent` is the archive that contained them.

    Raises CodedError, `unavailable` where the site de-identifies and has no key.
    """
    try:
        stated = metadata_for_site(site, stated or StatedMetadata())
        filename = "" if site.deidentify_on_ingest else filename
        earlier = Upload.objects.filter(site=site, sha256=received.sha256).first()
        if earlier:
            _restore(earlier, received)
            return _uploaded_again(earlier, stated, user), False
        return _register(user, site, received, text(filename, 255), stated, parent)
    finally:
        received.path.unlink(missing_ok=True)


@transaction.atomic
def upload_finish(*, upload: Upload, results: Sequence[ParsedScan]) -> list[Scan] | None:
    """Turn a parsed upload into scans and queue their analyses; None when the claim was lost."""
    if not upload.finish(Upload.Status.DONE):
        return None
    # The same bytes may have been uploaded again with stated metadata while this attempt was parsing.
    upload.refresh_from_db(fields=list(StatedMetadata().columns))
    for parsed in results:
        _forget_identity(upload, parsed)
    scans = [file_scan(upload, parsed) for parsed in results]
    scans_created.send(Scan, scans=scans)
    for scan in scans:
        announce(
            site_id=scan.site_id,
            kind=EventKind.SCAN_CREATED,
            subject=scan.pk,
            data={"upload": str(upload.pk)},
        )
    return scans


def _forget_identity(upload: Upload, parsed: ParsedScan) -> None:
    """Replace the received file by the de-identified one, and forget what was stated of it."""
    if parsed.original is None:
        return
    received = upload.stored_name
    columns = metadata_for_site(upload.site, StatedMetadata.of(upload)).columns
    columns |= {"stored_name": parsed.original.name, "stored_sha256": parsed.original.sha256, "filename": ""}
    for column, value in columns.items():
        setattr(upload, column, value)
    upload.save(update_fields=list(columns))
    transaction.on_commit(lambda: storage.delete_file(received), robust=True)


@transaction.atomic
def upload_refuse(*, upload: Upload, reason: RefusalReason, detail: str = "") -> bool:
    """Refuse an upload that is not a readable image. Its bytes are deleted; a new upload retries them."""
    code = str(RefusalReason(reason))
    refused = upload.finish(Upload.Status.REFUSED, refusal=code, refusal_detail=text(detail, 200))
    if refused:
        _announce(upload, EventKind.UPLOAD_REFUSED, code)
        transaction.on_commit(lambda: storage.delete_file(upload.stored_name), robust=True)
    return refused


@receiver(job_failed, sender=Upload)
def _announce_failure(job: Upload, **kwargs: Any) -> None:
    _announce(job, EventKind.UPLOAD_FAILED, job.error_code)


@transaction.atomic
def upload_retry(*, upload: Upload, actor: User) -> Upload:
    """Try a failed upload again; raises CodedError `conflict` if it has not failed."""
    upload.refresh_from_db()
    if upload.status != Upload.Status.FAILED or not upload.retry():
        raise CodedError("conflict")
    record(actor=actor, site=upload.site, action="upload.retried", subject=upload)
    notify_workers(Queue.INGEST)
    upload.refresh_from_db()
    return upload


def _register(
    user: User, site: Site, received: Received, filename: str, stated: StatedMetadata, parent: Upload | None
) -> tuple[Upload, bool]:
    sums = {"sha256": received.sha256, "size": received.size}
    upload = Upload(site=site, user=user, filename=filename, parent=parent, **sums, **stated.columns)
    upload.stored_name = original_name(upload.id)
    storage.put_file(received.path, upload.stored_name)
    try:
        with transaction.atomic():
            upload.save(force_insert=True)
            record(actor=user, site=site, action="upload.received", subject=upload)
            notify_workers(Queue.INGEST)
    except (IntegrityError, DataError):
        # After any other error (such as a lost connection) the row may exist and need its file.
        storage.delete_file(upload.stored_name)
        earlier = Upload.objects.filter(site=site, sha256=received.sha256).first()
        if not earlier:
            raise
        return _uploaded_again(earlier, stated, user), False
    return upload, True


def _announce(upload: Upload, kind: EventKind, reason: str) -> None:
    announce(site_id=upload.site_id, kind=kind, subject=upload.pk, data={"reason": reason})


def _restore(earlier: Upload, received: Received) -> None:
    """Store missing bytes again for a retry; unpacked and de-identified uploads do not need them."""
    if earlier.stored_sha256 or (earlier.is_unpacked and not _has_failed_members(earlier)):
        return
    if not storage.path_of(earlier.stored_name).exists():
        storage.put_file(received.path, earlier.stored_name)


@transaction.atomic
def _uploaded_again(earlier: Upload, stated: StatedMetadata, user: User) -> Upload:
    """The earlier upload of the same bytes: retried, completed, or refused for another patient."""
    upload: Upload = Upload.objects.select_for_update().get(pk=earlier.pk)
    status, patient_id = upload.status, stated.patient_id
    if status in (Upload.Status.FAILED, Upload.Status.REFUSED):
        upload.retry(refusal="", refusal_detail="", **(stated.columns if patient_id else {}))
        notify_workers(Queue.INGEST)
    elif status != Upload.Status.DONE and patient_id and not upload.stated_patient_id:
        Upload.objects.filter(pk=upload.pk).update(**stated.columns)
    elif patient_id and not _state_patient(upload, stated, user) and patient_id not in _patient_ids(upload):
        raise CodedError("patient_conflict")
    elif _has_failed_members(upload):
        upload.retry(skipped=None)
        notify_workers(Queue.INGEST)
    upload.refresh_from_db()
    return upload


def _state_patient(upload: Upload, stated: StatedMetadata, user: User) -> bool:
    """Replace provisional patients of an upload, or of an archive's images, by the stated one."""
    unstated = Q(pk=upload.pk) | Q(parent=upload)
    uploads = list(Upload.objects.filter(unstated, stated_patient_id="").values_list("pk", flat=True))
    pending = Upload.objects.filter(pk__in=uploads, status__in=(UploadStatus.RECEIVED, UploadStatus.PARSING))
    provisional = Scan.objects.filter(upload__in=uploads, series__study__patient__provisional=True)
    keys = list(provisional.values_list("pk", flat=True))
    if not (keys or pending.exists()):
        return False
    Upload.objects.filter(pk__in=uploads).update(**stated.columns)
    for scan in Scan.objects.filter(pk__in=keys).select_related("site", "upload", "series__study__patient"):
        provisional_replace(scan=scan, actor=user)
    return True


def _has_failed_members(upload: Upload) -> bool:
    """Whether this is an unpacked archive with a refused or failed member."""
    unread = Q(status__in=(Upload.Status.FAILED, Upload.Status.REFUSED))
    return upload.is_unpacked and Upload.objects.filter(unread, in_archives__archive=upload).exists()


def _patient_ids(upload: Upload) -> set[str]:
    """The identifiers of its scans' patients, and the stated one unless a scan was moved."""
    scans = Scan.objects.filter(Q(upload=upload) | Q(upload__parent=upload))
    filed = scans.values_list("series__study__patient", flat=True)
    moved = ScanMove.objects.filter(scan__in=scans).exists()
    known = identifiers_of(filed)  # type: ignore[arg-type]  # keys, which the stubs take for text
    return known | (set() if moved else {upload.stated_patient_id})
