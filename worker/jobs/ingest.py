"""Ingest: an upload becomes a scan, a refusal, or, being an archive, the uploads of what is in it.

Its bytes are parsed in the helper, never here.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from classifier.errors import Refused
from classifier.images.archive.listing import head_of, is_archive
from classifier.images.limits import UNPACK_LIMITS, Limits
from classifier.images.sandbox.client import HelperFailed, ParsingHelper, ResourcesExhausted
from webapp.analysis.services import ingest_done
from webapp.core import storage
from webapp.core.jobs import table as jobs
from webapp.scans.models import Upload
from webapp.scans.patients.pseudonymity import removal_for
from webapp.scans.services import ingest_claim, ingest_fail, ingest_refuse
from webapp.scans.uploads.archives import archive_finish, member_store
from webapp.scans.uploads.files import ParsedScan, discard_parsed, store_parsed
from worker.runner import LEASE, TRANSIENT, Heartbeat, Unavailable
from worker.support.safe_errors import describe
from worker.support.scratch import scratch_folder

logger = logging.getLogger(__name__)

FILE_MISSING, GAVE_OUT, INTERNAL = "file_missing", "parser_gave_out", "internal"
LIMIT_SECONDS = Limits().wall_seconds + 60.0
# Thousands of members are hashed, moved and recorded one by one, each flushed to the disk.
ARCHIVE_LIMIT_SECONDS = UNPACK_LIMITS.wall_seconds + 600.0


class IngestJob:
    """One upload at a time through one warm parsing helper; what goes wrong stays with its own upload."""

    name = "ingest"

    def __init__(self) -> None:
        self._helper = ParsingHelper()

    def prepare(self) -> None:
        try:
            self._helper.start()
        except HelperFailed as error:
            raise Unavailable from error

    def close(self) -> None:
        self._helper.close()

    def step(self) -> bool:
        uploads = ingest_claim(1, lease=LEASE)
        for upload in uploads:
            limit = ARCHIVE_LIMIT_SECONDS if holds_archive(upload) else LIMIT_SECONDS
            with Heartbeat(Upload, upload.attempt_token, limit=limit):
                self._ingest(upload)
        return bool(uploads)

    def _ingest(self, upload: Upload) -> None:
        token = upload.attempt_token
        try:
            if holds_archive(upload):
                self._unpack(upload)
            else:
                finish(upload, self._parse(upload))
        except ResourcesExhausted as exhausted:
            logger.warning("upload %s: %s", upload.id, exhausted.detail)
            ingest_fail(upload=upload, token=token, code=GAVE_OUT)
        except Refused as refused:
            ingest_refuse(upload=upload, token=token, reason=refused.reason, detail=refused.detail)
        except HelperFailed as error:
            jobs.release(Upload, token)
            raise Unavailable from error
        except OSError as error:
            self._disk_trouble(upload, error)
        except TRANSIENT:
            raise  # the lease brings the upload back
        except Exception as error:
            logger.error("upload %s failed: %s", upload.id, describe(error))
            ingest_fail(upload=upload, token=token, code=INTERNAL)

    def _disk_trouble(self, upload: Upload, error: OSError) -> None:
        """An outage of the store is nobody's attempt; trouble with one file counts as one of its own."""
        token = upload.attempt_token
        if not storage.is_working():
            jobs.release(Upload, token)
        elif not storage.path_of(upload.stored_name).exists():
            ingest_fail(upload=upload, token=token, code=FILE_MISSING)
            return
        raise Unavailable from error

    def _parse(self, upload: Upload) -> ParsedScan:
        with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
            facts = self._helper.parse(
                storage.path_of(upload.stored_name),
                folder,
                stated_slot=upload.claimed_modality or None,
                deidentify=removal_for(upload.site),
            )
            return store_parsed(
                scan_id=upload.id, token=upload.attempt_token, facts=facts, folder=Path(folder)
            )

    def _unpack(self, archive: Upload) -> None:
        """Hand in the members one by one: done again after a kill, they are the uploads that they were."""
        with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
            unpacked = self._helper.unpack(storage.path_of(archive.stored_name), folder)
            members = [
                (member.name, member_store(archive=archive, path=Path(folder, member.file), name=member.name))
                for member in unpacked.members
            ]
        archive_finish(
            archive=archive, token=archive.attempt_token, members=members, skipped=unpacked.skipped
        )


def holds_archive(upload: Upload) -> bool:
    try:
        return is_archive(head_of(storage.path_of(upload.stored_name)))
    except OSError:
        return False  # reading it says why


def finish(upload: Upload, parsed: ParsedScan) -> None:
    """Record the scan; the files of an attempt that lost its lease, or could not be recorded, are removed."""
    try:
        recorded = ingest_done(upload=upload, token=upload.attempt_token, results=[parsed])
    except TRANSIENT:
        raise  # it may have been committed all the same
    except Exception:
        discard_parsed(parsed)
        raise
    if recorded is None:
        discard_parsed(parsed)
