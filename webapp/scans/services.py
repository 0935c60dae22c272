"""What is done to uploads and scans. Page, API and worker come through here; who may is checked before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import DataError, IntegrityError, transaction
from django.db.models import Q
from django.dispatch import receiver

from classifier.contract import RefusalReason
from classifier.images.limits import MAX_FILE_BYTES
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
from webapp.scans.patients.pseudonymity import claim_at
from webapp.scans.signals import scans_created
from webapp.scans.uploads.files import ParsedScan, Received, original_name, receive
from webapp.scans.uploads.stated_metadata import Claim
from webapp.webhooks.kinds import Kind
from webapp.webhooks.services import announce


def upload_store(
    *,
    user: User,
    site: Site,
    chunks: Iterable[bytes],
    filename: str = "",
    claim: Claim | None = None,
    declared: int = 0,
    max_bytes: int = MAX_FILE_BYTES,
) -> tuple[Upload, bool]:
    """Take bytes in: the only way, after `scan.upload` was checked. Answers the upload and whether it is new.

    The same bytes at the same site are the earlier upload; one that failed, or was refused (decoders get
    better), is tried again. Raises CodedError `too_large` (by the `declared` size too), `empty_file`, or
    `patient_conflict` when the earlier one belongs to another patient.
    """
    received = receive(chunks, declared=declared, max_bytes=max_bytes)
    return take_in(user=user, site=site, received=received, filename=filename, claim=claim)


def take_in(
    *,
    user: User,
    site: Site,
    received: Received,
    filename: str = "",
    claim: Claim | None = None,
    parent: Upload | None = None,
) -> tuple[Upload, bool]:
    """Take in what has arrived, whose file is gone afterwards; `parent` is the archive that it was in.

    Raises CodedError, `unavailable` where the site keeps no identity and cannot remove it.
    """
    try:
        claim = claim_at(site, claim or Claim())
        filename = "" if site.deidentify_on_ingest else filename
        earlier = Upload.objects.filter(site=site, sha256=received.sha256).first()
        if earlier:
            _restore(earlier, received)
            return _again(earlier, claim, user), False
        return _register(user, site, received, text(filename, 255), claim, parent)
    finally:
        received.path.unlink(missing_ok=True)


@transaction.atomic
def upload_finish(*, upload: Upload, results: Sequence[ParsedScan]) -> list[Scan] | None:
    """Turn a parsed upload into scans and queue their analyses; None when the claim was lost."""
    if not upload.finish(Upload.Status.DONE):
        return None
    # The same bytes may have been uploaded again with stated metadata while this attempt was parsing.
    upload.refresh_from_db(fields=list(Claim().columns))
    for parsed in results:
        _forget_identity(upload, parsed)
    scans = [file_scan(upload, parsed) for parsed in results]
    scans_created.send(Scan, scans=scans)
    for scan in scans:
        announce(
            site_id=scan.site_id, kind=Kind.SCAN_CREATED, subject=scan.pk, data={"upload": str(upload.pk)}
        )
    return scans


def _forget_identity(upload: Upload, parsed: ParsedScan) -> None:
    """Keep the file without identity in the place of what came, and nothing of what was said of that."""
    if parsed.original is None:
        return
    came = upload.stored_name
    said = claim_at(upload.site, Claim.of(upload)).columns
    said |= {"stored_name": parsed.original.name, "stored_sha256": parsed.original.sha256, "filename": ""}
    for column, value in said.items():
        setattr(upload, column, value)
    upload.save(update_fields=list(said))
    transaction.on_commit(lambda: storage.delete_file(came), robust=True)


@transaction.atomic
def upload_refuse(*, upload: Upload, reason: RefusalReason, detail: str = "") -> bool:
    """The upload is no image that can be read. Its bytes are not kept; handed in again they are retried."""
    refused = upload.finish(
        Upload.Status.REFUSED,
        refusal=str(RefusalReason(reason)),
        refusal_detail=text(detail, 200),
    )
    if refused:
        _announce(upload, Kind.UPLOAD_REFUSED, str(RefusalReason(reason)))
        transaction.on_commit(lambda: storage.delete_file(upload.stored_name), robust=True)
    return refused


@receiver(job_failed, sender=Upload)
def _announce_failure(job: Upload, **kwargs: Any) -> None:
    _announce(job, Kind.UPLOAD_FAILED, job.error_code)


@transaction.atomic
def upload_retry(*, upload: Upload, actor: User) -> Upload:
    """Try a failed upload again; raises CodedError `conflict` when it is not a failed one any more."""
    upload.refresh_from_db()
    if upload.status != Upload.Status.FAILED or not upload.retry():
        raise CodedError("conflict")
    record(actor=actor, site=upload.site, action="upload.retried", subject=upload)
    notify_workers(Queue.INGEST)
    upload.refresh_from_db()
    return upload


def _register(
    user: User, site: Site, received: Received, filename: str, claim: Claim, parent: Upload | None
) -> tuple[Upload, bool]:
    sums = {"sha256": received.sha256, "size": received.size}
    upload = Upload(site=site, user=user, filename=filename, parent=parent, **sums, **claim.columns)
    upload.stored_name = original_name(upload.id)
    storage.put_file(received.path, upload.stored_name)
    try:
        with transaction.atomic():
            upload.save(force_insert=True)
            record(actor=user, site=site, action="upload.received", subject=upload)
            notify_workers(Queue.INGEST)
    except (IntegrityError, DataError):
        # After any other error (a lost connection, say) the row may be there all the same and need its file.
        storage.delete_file(upload.stored_name)
        earlier = Upload.objects.filter(site=site, sha256=received.sha256).first()
        if not earlier:
            raise
        return _again(earlier, claim, user), False
    return upload, True


def _announce(upload: Upload, kind: Kind, reason: str) -> None:
    announce(site_id=upload.site_id, kind=kind, subject=upload.pk, data={"reason": reason})


def _restore(earlier: Upload, received: Received) -> None:
    """Put the bytes back where the store has them no more: a retry needs them, an unpacked archive not.

    Nor are they put in the place of a file without identity.
    """
    if earlier.stored_sha256 or (earlier.is_unpacked and not _is_half_read(earlier)):
        return
    if not storage.path_of(earlier.stored_name).exists():
        storage.put_file(received.path, earlier.stored_name)


@transaction.atomic
def _again(earlier: Upload, claim: Claim, user: User) -> Upload:
    """The same bytes once more: the earlier upload, its claim completed as long as it is not filed."""
    upload: Upload = Upload.objects.select_for_update().get(pk=earlier.pk)
    status, claimed = upload.status, claim.patient_id
    if status in (Upload.Status.FAILED, Upload.Status.REFUSED):
        upload.retry(refusal="", refusal_detail="", **(claim.columns if claimed else {}))
        notify_workers(Queue.INGEST)
    elif status != Upload.Status.DONE and claimed and not upload.claimed_patient_id:
        Upload.objects.filter(pk=upload.pk).update(**claim.columns)
    elif claimed and not _state_patient(upload, claim, user) and claimed not in _patient_ids(upload):
        raise CodedError("patient_conflict")
    elif _is_half_read(upload):
        upload.retry(skipped=None)
        notify_workers(Queue.INGEST)
    upload.refresh_from_db()
    return upload


def _state_patient(upload: Upload, claim: Claim, user: User) -> bool:
    """Replace provisional patients of an upload, or of an archive's images, by the stated one."""
    unstated = Q(pk=upload.pk) | Q(parent=upload)
    uploads = list(Upload.objects.filter(unstated, claimed_patient_id="").values_list("pk", flat=True))
    pending = Upload.objects.filter(pk__in=uploads, status__in=(UploadStatus.RECEIVED, UploadStatus.PARSING))
    provisional = Scan.objects.filter(upload__in=uploads, series__study__patient__provisional=True)
    keys = list(provisional.values_list("pk", flat=True))
    if not (keys or pending.exists()):
        return False
    Upload.objects.filter(pk__in=uploads).update(**claim.columns)
    for scan in Scan.objects.filter(pk__in=keys).select_related("site", "upload", "series__study__patient"):
        provisional_replace(scan=scan, actor=user)
    return True


def _is_half_read(upload: Upload) -> bool:
    """Whether it is an unpacked archive of which a member was refused or failed."""
    unread = Q(status__in=(Upload.Status.FAILED, Upload.Status.REFUSED))
    return upload.is_unpacked and Upload.objects.filter(unread, in_archives__archive=upload).exists()


def _patient_ids(upload: Upload) -> set[str]:
    """Those of the patients that its scans are filed to, and the claimed one until a scan is moved."""
    scans = Scan.objects.filter(Q(upload=upload) | Q(upload__parent=upload))
    filed = scans.values_list("series__study__patient", flat=True)
    moved = ScanMove.objects.filter(scan__in=scans).exists()
    known = identifiers_of(filed)  # type: ignore[arg-type]  # keys, which the stubs take for text
    return known | (set() if moved else {upload.claimed_patient_id})
