"""What becomes of an archive: an upload for each image in it, each of which goes its own way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from django.db import transaction

from classifier.images.archive.listing import Skipped
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import ArchiveMember, Upload
from webapp.scans.services import take_in
from webapp.scans.uploads.files import Received, file_sha256
from webapp.scans.uploads.stated_metadata import Claim


def member_store(*, archive: Upload, path: Path, name: str) -> Upload | None:
    """Take in one unpacked image, whose file is gone afterwards, with what was claimed of the archive.

    The same bytes at the site are the earlier upload; None when that one belongs to another patient.
    """
    received = Received(path=path, sha256=file_sha256(path), size=path.stat().st_size)
    try:
        upload, _ = take_in(
            user=archive.user,
            site=archive.site,
            received=received,
            filename=name,
            claim=Claim.of(archive),
            parent=archive,
        )
    except CodedError as error:
        if error.code != "patient_conflict":
            raise
        return None
    return upload


@transaction.atomic
def archive_finish(
    *,
    archive: Upload,
    members: Sequence[tuple[str, Upload | None]],
    skipped: Iterable[Skipped],
) -> bool:
    """The archive is unpacked and its own bytes are not kept; False when the attempt has lost its lease.

    `members`: the name of each image, and what `member_store` made of it.
    """
    named = not archive.site.deidentify_on_ingest
    said = [asdict(one if named else replace(one, names=())) for one in skipped]
    if not archive.finish(Upload.Status.DONE, skipped=said):
        return False
    archive.members.all().delete()
    ArchiveMember.objects.bulk_create(
        ArchiveMember(archive=archive, upload=upload, position=position, name=name if named else "")
        for position, (name, upload) in enumerate(members)
    )
    transaction.on_commit(lambda: storage.delete_file(archive.stored_name), robust=True)
    return True
