"""An archive becomes an upload for each image in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from django.db import transaction

from classifier.images.archive.listing import Skipped
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import ArchiveMember, Upload
from webapp.scans.services import store_received
from webapp.scans.uploads.files import Received, file_sha256
from webapp.scans.uploads.stated_metadata import StatedMetadata


def member_store(*, archive: Upload, path: Path, name: str) -> Upload | None:
    """Store one unpacked image (its file is removed) with the metadata stated for the archive.

    The same bytes at the site are the earlier upload; None when that belongs to another patient.
    """
    received = Received(path=path, sha256=file_sha256(path), size=path.stat().st_size)
    stated = StatedMetadata.of(archive)
    try:
        upload, _ = store_received(
            user=archive.user,
            site=archive.site,
            received=received,
            filename=name,
            stated=stated,
            parent=archive,
        )
    except CodedError as error:
        if error.code != "patient_conflict":
            raise
        return None
    return upload


@transaction.atomic
def archive_finish(
    *, archive: Upload, members: Sequence[tuple[str, Upload | None]], skipped: Iterable[Skipped]
) -> bool:
    """Record an unpacked archive and delete its bytes; False when the claim was lost.

    `members`: each image's name and the upload that `member_store` returned.
    """
    named = not archive.site.deidentify_on_ingest
    left_out = [asdict(one if named else replace(one, names=())) for one in skipped]
    if not archive.finish(Upload.Status.DONE, skipped=left_out):
        return False
    archive.members.all().delete()
    ArchiveMember.objects.bulk_create(
        ArchiveMember(archive=archive, upload=upload, position=position, name=name if named else "")
        for position, (name, upload) in enumerate(members)
    )
    transaction.on_commit(lambda: storage.delete_file(archive.stored_name), robust=True)
    return True
