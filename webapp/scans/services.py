"""What is done to uploads and scans. Page, API and worker come through here; who may is checked before."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db import DataError, IntegrityError, transaction
from django.db.models import Q

from classifier.contract import RefusalReason
from classifier.images.limits import MAX_FILE_BYTES
from webapp.accounts.models import Site, User
from webapp.audit.services import record
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.core.jobs import table as jobs
from webapp.core.jobs.queues import notify_workers
from webapp.scans.dicom_values import text
from webapp.scans.filing import file_scan
from webapp.scans.models import Scan, ScanMove, Upload
from webapp.scans.patients.identity import identifiers_of
from webapp.scans.patients.pseudonymity import claim_at
from webapp.scans.uploads.files import ParsedScan, Received, original_name, receive
from webapp.scans.uploads.stated_metadata import Claim
from webapp.webhooks.kinds import Kind
from webapp.webhooks.services import announce

INGEST = "worker.tasks.ingest"
INGEST_LEASE = timedelta(seconds=120)


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
            return _again(earlier, claim), False
        return _register(user, site, received, text(filename, 255), claim, parent)
    finally:
        received.path.unlink(missing_ok=True)


def ingest_claim(n: int, *, lease: timedelta = INGEST_LEASE) -> list[Upload]:
    """Take up to `n` uploads to parse; they carry one `attempt_token`. The worn-out ones are given up."""
    uploads_give_up()
    uploads = jobs.claim(Upload.objects.all(), n=n, lease=lease)
    return list(
        Upload.objects.select_related("site").filter(pk__in=[u.pk for u in uploads]).order_by("created_at")
    )


@transaction.atomic
def ingest_finish(*, upload: Upload, token: uuid.UUID, results: Sequence[ParsedScan]) -> list[Scan] | None:
    """Turn a parsed upload into scans; None when the attempt has lost its lease to another.

    Whoever calls this queues the analyses in the same transaction: `analysis.services.ingest_done` does both.
    """
    if not jobs.finish(upload, token, status=Upload.Status.DONE):
        return None
    # The same bytes may have come once more with a claim while this attempt was parsing.
    upload.refresh_from_db(fields=list(Claim().columns))
    for parsed in results:
        _forget_identity(upload, parsed)
    return [file_scan(upload, parsed) for parsed in results]


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
def ingest_refuse(*, upload: Upload, token: uuid.UUID, reason: RefusalReason, detail: str = "") -> bool:
    """The upload is no image that can be read. Its bytes are not kept; handed in again they are retried."""
    refused = jobs.finish(
        upload,
        token,
        status=Upload.Status.REFUSED,
        refusal=str(RefusalReason(reason)),
        refusal_detail=text(detail, 200),
    )
    if refused:
        _tell(upload, Kind.UPLOAD_REFUSED, str(RefusalReason(reason)))
        transaction.on_commit(lambda: storage.delete_file(upload.stored_name), robust=True)
    return refused


@transaction.atomic
def ingest_fail(*, upload: Upload, token: uuid.UUID, code: str) -> bool:
    """Parsing went wrong on our side; a person, or the same file again, can retry it."""
    failed = jobs.finish(upload, token, status=Upload.Status.FAILED, error_code=code)
    if failed:
        _tell(upload, Kind.UPLOAD_FAILED, code)
    return failed


@transaction.atomic
def uploads_give_up() -> int:
    """Fail the uploads whose last attempt lost its lease; answers how many."""
    keys = jobs.give_up(Upload.objects.all())
    for upload in Upload.objects.filter(pk__in=keys):
        _tell(upload, Kind.UPLOAD_FAILED, upload.error_code)
    return len(keys)


@transaction.atomic
def upload_retry(*, upload: Upload, actor: User) -> Upload:
    """Try a failed upload again; raises CodedError `conflict` when it is not a failed one any more."""
    upload.refresh_from_db()
    if upload.status != Upload.Status.FAILED or not jobs.retry(upload):
        raise CodedError("conflict")
    record(actor=actor, site=upload.site, action="upload.retried", subject=upload)
    notify_workers(INGEST, upload.pk)
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
            notify_workers(INGEST, upload.pk)
    except (IntegrityError, DataError):
        # After any other error (a lost connection, say) the row may be there all the same and need its file.
        storage.delete_file(upload.stored_name)
        earlier = Upload.objects.filter(site=site, sha256=received.sha256).first()
        if not earlier:
            raise
        return _again(earlier, claim), False
    return upload, True


def _tell(upload: Upload, kind: Kind, reason: str) -> None:
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
def _again(earlier: Upload, claim: Claim) -> Upload:
    """The same bytes once more: the earlier upload, its claim completed as long as it is not filed."""
    upload = Upload.objects.select_for_update().get(pk=earlier.pk)
    status, claimed = upload.status, claim.patient_id
    if status in (Upload.Status.FAILED, Upload.Status.REFUSED):
        jobs.retry(upload, refusal="", refusal_detail="", **(claim.columns if claimed else {}))
        notify_workers(INGEST, upload.pk)
    elif status != Upload.Status.DONE and claimed and not upload.claimed_patient_id:
        Upload.objects.filter(pk=upload.pk).update(**claim.columns)
    elif claimed and claimed not in _patient_ids(upload):
        raise CodedError("patient_conflict")
    elif _is_half_read(upload):
        jobs.retry(upload, skipped=None)
        notify_workers(INGEST, upload.pk)
    upload.refresh_from_db()
    return upload


def _is_half_read(upload: Upload) -> bool:
    """Whether it is an unpacked archive of which a member was refused or failed."""
    unread = Q(status__in=(Upload.Status.FAILED, Upload.Status.REFUSED))
    return upload.is_unpacked and Upload.objects.filter(unread, in_archives__archive=upload).exists()


def _patient_ids(upload: Upload) -> set[str]:
    """Those of the patients that its scans are filed to, and the claimed one until a scan is moved."""
    scans = Scan.objects.filter(Q(upload=upload) | Q(upload__parent=upload))
    filed = scans.values_list("series__study__patient", flat=True)
    moved = ScanMove.objects.filter(scan__in=scans).exists()
    return identifiers_of(filed) | (set() if moved else {upload.claimed_patient_id})
