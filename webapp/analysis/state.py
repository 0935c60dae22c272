"""The state of a scan, an upload or an archive: the one reading for pages, API, long polling and exports.

A scan's current analysis is its newest finished one, else its newest: a later attempt never takes a result
away. An upload that has become a scan has the scan's state; an unpacked archive has that of its images.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet, TextChoices

from classifier.images.archive.listing import ARCHIVE_ADVICE
from classifier.reasons import ADVICE, IMAGE_ADVICE, NO_MODEL_FOR_MODALITY, Advice
from webapp.analysis.archives import ArchiveProgress, archives_progress
from webapp.analysis.models import Analysis
from webapp.core.jobs.table import JobStatus
from webapp.scans.models import Scan, Upload, UploadStatus

# The columns of an analysis that its scan's state is read from.
STATE_COLUMNS = ("status", "error_code", "abstention", "withheld", "created_at")


class ScanStatus(TextChoices):
    """Until `upload_failed` it is the upload's; from `analysing` on the scan's (`StudyStatus`)."""

    RECEIVED = "received"
    PARSING = "parsing"
    REFUSED = "refused"
    UPLOAD_FAILED = "upload_failed"
    ANALYSING = "analysing"
    FAILED = "failed"
    WAITING = "waiting"
    ABSTAINED = "abstained"
    DONE = "done"


PENDING = {ScanStatus.RECEIVED, ScanStatus.PARSING, ScanStatus.ANALYSING}


@dataclass(frozen=True)
class State:
    """`reason`: the refusal, abstention, waiting or error code; `detail`: what was wrong with the file.

    `analysis`: the scan's current one. `archive`: the progress of an unpacked archive's images. An upload
    that is `done` without an analysis is an archive, or its scan was not looked at.
    """

    status: ScanStatus
    reason: str = ""
    detail: str = ""
    analysis: Analysis | None = None
    archive: ArchiveProgress | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more happens without a person or a new model."""
        return self.status not in PENDING

    @property
    def advice(self) -> Advice | None:
        """What was seen and what to do, for a refusal, an abstention or a missing model."""
        return (ARCHIVE_ADVICE | IMAGE_ADVICE).get(self.detail) or ADVICE.get(self.reason)


def current_analysis(analyses: Iterable[Analysis]) -> Analysis | None:
    """The newest finished analysis, else the newest."""
    newest = sorted(analyses, key=lambda a: a.created_at, reverse=True)
    done = (a for a in newest if a.status == JobStatus.DONE)
    return next(done, newest[0] if newest else None)


def state_of(record: Scan | Upload, analyses: Iterable[Analysis] | None = None) -> State:
    """The state of a scan, or of an upload and what has become of it.

    `analyses`: the scan's, where they were read already, so that all parts of a response agree.
    """
    scan = record if isinstance(record, Scan) else next(iter(record.scans.all()), None)
    if scan is not None:
        return state_of_scan(scan.analyses.all() if analyses is None else analyses)
    archives = archives_progress([record.pk] if record.is_unpacked else [])
    return state_of_upload(record, archives.get(record.pk))


def states_of_uploads(uploads: QuerySet[Upload]) -> dict[uuid.UUID, State]:
    """`state_of` each upload by its key, in at most three queries; `State.analysis` is a row of columns."""
    columns = ("pk", "scans", "status", "refusal", "refusal_detail", "error_code", "skipped")
    rows = list(uploads.values_list(*columns, named=True))
    analyses = defaultdict(list)
    found = Analysis.objects.filter(scan__in=[row.scans for row in rows if row.scans])
    for row in found.values_list("scan", *STATE_COLUMNS, named=True):
        analyses[row.scan].append(row)
    archives = archives_progress(row.pk for row in rows if row.skipped is not None)
    return {
        row.pk: state_of_scan(analyses[row.scans])
        if row.scans
        else state_of_upload(row, archives.get(row.pk))
        for row in rows
    }


def state_of_scan(analyses: Iterable[Any]) -> State:
    """The state of a scan with these analyses: anything that has `STATE_COLUMNS`."""
    analysis = current_analysis(analyses)
    if analysis is None:
        return State(ScanStatus.WAITING, NO_MODEL_FOR_MODALITY)
    if analysis.status == JobStatus.FAILED:
        return State(ScanStatus.FAILED, analysis.error_code, analysis=analysis)
    if analysis.status != JobStatus.DONE:
        return State(ScanStatus.ANALYSING, analysis=analysis)
    if analysis.withheld:
        return State(ScanStatus.ABSTAINED, analysis.abstention, analysis=analysis)
    return State(ScanStatus.DONE, analysis=analysis)


def state_of_upload(upload: Any, archive: ArchiveProgress | None = None) -> State:
    """The state of the upload alone, whatever its scan's; `archive` where it is an unpacked one."""
    if upload.status == UploadStatus.REFUSED:
        return State(ScanStatus.REFUSED, upload.refusal, upload.refusal_detail)
    if upload.status == UploadStatus.FAILED:
        return State(ScanStatus.UPLOAD_FAILED, upload.error_code)
    if archive:
        return State(ScanStatus.ANALYSING if archive.under_way else ScanStatus.DONE, archive=archive)
    return State(ScanStatus(upload.status))
