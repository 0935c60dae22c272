"""Ingest: an upload becomes a scan or a refusal, an archive the uploads of its images.

The bytes are parsed in the helper process, never here.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from django.conf import settings

from classifier.errors import Refused
from classifier.images.archive.listing import head_of, is_archive
from classifier.images.limits import UNPACK_LIMITS, Limits
from classifier.images.sandbox.client import HelperFailed, ParsingHelper, ResourcesExhausted
from webapp.core import storage
from webapp.scans.models import Upload
from webapp.scans.patients.pseudonymity import removal_for
from webapp.scans.services import upload_finish, upload_refuse
from webapp.scans.uploads.archives import archive_finish, member_store
from webapp.scans.uploads.files import ParsedScan, discard_parsed, store_parsed
from worker.runner import TRANSIENT, Heartbeat, Job, Unavailable
from worker.support.safe_errors import describe
from worker.support.scratch import scratch_folder

logger = logging.getLogger(__name__)

FILE_MISSING, GAVE_OUT, INTERNAL = "file_missing", "parser_gave_out", "internal"
LIMIT_SECONDS = Limits().wall_seconds + 60.0
# Thousands of members are hashed, moved and recorded one by one, each flushed to the disk.
ARCHIVE_LIMIT_SECONDS = UNPACK_LIMITS.wall_seconds + 600.0


class IngestJob(Job):
    """One upload at a time, through one preloaded parsing helper."""

    name = "ingest"

    def __init__(self) -> None:
        self._helper = ParsingHelper(settings.HILUM_SANDBOX)

    def prepare(self) -> None:
        try:
            self._helper.start()
        except HelperFailed as error:
            logger.error("%s", error)
            raise Unavailable from error
        if self._helper.open_layers:
            logger.warning("files are parsed without full confinement; open: %s", self._helper.open_layers)

    def close(self) -> None:
        self._helper.close()

    def step(self) -> bool:
        uploads = Upload.objects.claim()
        for upload in uploads:
            limit = ARCHIVE_LIMIT_SECONDS if holds_archive(upload) else LIMIT_SECONDS
            with Heartbeat(upload, limit=limit):
                self._ingest(upload)
        return bool(uploads)

    def _ingest(self, upload: Upload) -> None:
        try:
            if holds_archive(upload):
                self._unpack(upload)
            else:
                finish(upload, self._parse(upload))
        except ResourcesExhausted as exhausted:
            logger.warning("upload %s: %s", upload.id, exhausted.detail)
            upload.fail(GAVE_OUT)
        except Refused as refused:
            upload_refuse(upload=upload, reason=refused.reason, detail=refused.detail)
        except HelperFailed as error:
            upload.release()
            raise Unavailable from error
        except OSError as error:
            self._disk_failed(upload, error)
        except TRANSIENT:
            raise  # the lease brings the upload back
        except Exception as error:
            logger.error("upload %s failed: %s", upload.id, describe(error))
            upload.fail(INTERNAL)

    def _disk_failed(self, upload: Upload, error: OSError) -> None:
        """A full or unmounted disk does not count as an attempt; trouble with one file does."""
        if not storage.is_working():
            upload.release()
        elif not storage.path_of(upload.stored_name).exists():
            upload.fail(FILE_MISSING)
            return
        raise Unavailable from error

    def _parse(self, upload: Upload) -> ParsedScan:
        with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
            facts = self._helper.parse(
                storage.path_of(upload.stored_name),
                folder,
                stated_slot=upload.stated_modality or None,
                deidentify=removal_for(upload.site),
            )
            return store_parsed(
                scan_id=upload.id, token=upload.attempt_token, facts=facts, folder=Path(folder)
            )

    def _unpack(self, archive: Upload) -> None:
        """Store the members one by one; after a kill, those stored already are found again by their hash."""
        with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
            unpacked = self._helper.unpack(storage.path_of(archive.stored_name), folder)
            members = [
                (member.name, member_store(archive=archive, path=Path(folder, member.file), name=member.name))
                for member in unpacked.members
            ]
        archive_finish(archive=archive, members=members, skipped=unpacked.skipped)


def holds_archive(upload: Upload) -> bool:
    try:
        return is_archive(head_of(storage.path_of(upload.stored_name)))
    except OSError:
        return False  # parsing it will report why


def finish(upload: Upload, parsed: ParsedScan) -> None:
    """Record the scan; the files of an attempt that lost its lease, or could not be recorded, are removed."""
    try:
        recorded = upload_finish(upload=upload, results=[parsed])
    except TRANSIENT:
        raise  # it may have been committed all the same
    except Exception:
        discard_parsed(parsed)
        raise
    if recorded is None:
        discard_parsed(parsed)
