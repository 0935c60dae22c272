"""Uploads that a program sends again because it does not know whether they arrived."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone

from webapp.accounts.models import Site, User
from webapp.core.errors import CodedError
from webapp.scans.models import Upload, UploadKey
from webapp.scans.services import take_in
from webapp.scans.uploads.files import Received, receive
from webapp.scans.uploads.stated_metadata import Claim

KEPT = timedelta(days=7)


def upload_once(
    *, key: str, user: User, site: Site, chunks: Iterable[bytes], filename: str = "", claim: Claim
) -> tuple[Upload, bool, bool]:
    """`upload_store` under an idempotency key; answers the upload, whether it was new, and whether this is a
    replay: the same key with the same bytes and claim, whose first answer is given again.

    The key is written before the upload is, so that whoever was cut off in between is answered as if they had
    not been. Raises CodedError `idempotency_key_reused` for other bytes or another claim, else what
    `upload_store` raises; a refused request does not use its key up.
    """
    received = receive(chunks)
    try:
        return _taken_once(key, user, site, received, filename, claim)
    finally:
        received.path.unlink(missing_ok=True)


def _taken_once(
    key: str, user: User, site: Site, received: Received, filename: str, claim: Claim
) -> tuple[Upload, bool, bool]:
    fingerprint = _fingerprint(received.sha256, claim)
    kept, new = UploadKey.objects.get_or_create(
        site=site, user=user, key=key, defaults={"fingerprint": fingerprint}
    )
    if kept.fingerprint != fingerprint:
        raise CodedError("idempotency_key_reused")
    if kept.upload is not None:
        return kept.upload, kept.created, True
    try:
        upload, created = take_in(user=user, site=site, received=received, filename=filename, claim=claim)
    except CodedError:
        UploadKey.objects.filter(pk=kept.pk, upload=None).delete()
        raise
    created = created or upload.created_at >= kept.created_at
    UploadKey.objects.filter(pk=kept.pk).update(upload=upload, created=created)
    return upload, created, not new


def upload_keys_expire() -> int:
    """Forget the keys that nobody will send again; answers how many."""
    return UploadKey.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


def _fingerprint(sha256: str, claim: Claim) -> str:
    said = {name: str(value) for name, value in claim.columns.items()}
    return hashlib.sha256(json.dumps([sha256, said], sort_keys=True).encode()).hexdigest()
