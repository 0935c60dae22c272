"""Idempotency keys: a program may repeat an upload when it does not know whether it arrived."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone
from django.utils.crypto import salted_hmac

from webapp.accounts.models import Site, User
from webapp.core.errors import CodedError
from webapp.scans.models import Upload, UploadKey
from webapp.scans.services import store_received
from webapp.scans.uploads.files import Received, receive
from webapp.scans.uploads.stated_metadata import StatedMetadata

KEPT = timedelta(days=7)
_SALT = "webapp.scans.uploads.idempotency"


def upload_once(
    *, key: str, user: User, site: Site, chunks: Iterable[bytes], filename: str = "", stated: StatedMetadata
) -> tuple[Upload, bool, bool]:
    """`upload_store` under an idempotency key; returns the upload, whether it was new, and whether this is a
    replay: the same key with the same bytes and metadata, which repeats the first response.

    The key is written, hashed, before the upload, so an interrupted request can be repeated. Raises
    CodedError `idempotency_key_reused` for other bytes or metadata, else what `upload_store` raises; a
    refused request does not use up its key.
    """
    received = receive(chunks)
    try:
        return _store_once(key, user, site, received, filename, stated)
    finally:
        received.path.unlink(missing_ok=True)


def _store_once(
    key: str, user: User, site: Site, received: Received, filename: str, stated: StatedMetadata
) -> tuple[Upload, bool, bool]:
    fingerprint = _fingerprint(received.sha256, stated)
    kept, new = UploadKey.objects.get_or_create(
        site=site, user=user, key=_hashed(key), defaults={"fingerprint": fingerprint}
    )
    if kept.fingerprint != fingerprint:
        raise CodedError("idempotency_key_reused")
    if kept.upload is not None:
        return kept.upload, kept.created, True
    try:
        upload, created = store_received(
            user=user, site=site, received=received, filename=filename, stated=stated
        )
    except CodedError:
        UploadKey.objects.filter(pk=kept.pk, upload=None).delete()
        raise
    created = created or upload.created_at >= kept.created_at
    UploadKey.objects.filter(pk=kept.pk).update(upload=upload, created=created)
    return upload, created, not new


def upload_keys_expire() -> int:
    """Delete keys that are too old to be repeated; returns how many."""
    return UploadKey.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


def _fingerprint(sha256: str, stated: StatedMetadata) -> str:
    columns = {name: str(value) for name, value in stated.columns.items()}
    return _hashed(json.dumps([sha256, columns], sort_keys=True))


def _hashed(text: str) -> str:
    """A keyed hash: programs make keys of file names and identifiers, which others could guess."""
    return salted_hmac(_SALT, text, algorithm="sha256").hexdigest()
