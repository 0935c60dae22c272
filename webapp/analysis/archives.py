"""How far an archive has come: by how many of its images still wait, or by each of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Prefetch, Q

from webapp.analysis.models import Analysis
from webapp.core.jobs.table import JobStatus
from webapp.scans.models import ArchiveMember, Upload


@dataclass(frozen=True)
class ArchiveProgress:
    """Counts of an unpacked archive's images. `elsewhere`: filed to another patient before."""

    images: int = 0
    reading: int = 0
    analysing: int = 0
    refused: int = 0
    failed: int = 0
    elsewhere: int = 0

    @property
    def under_way(self) -> int:
        return self.reading + self.analysing


def archives_progress(archives: Iterable[uuid.UUID]) -> dict[uuid.UUID, ArchiveProgress]:
    """The progress of each of these unpacked archives by its key; one query."""
    keys = list(archives)
    if not keys:
        return {}
    counted = ArchiveMember.objects.filter(archive__in=keys).order_by().values("archive")
    counted = counted.annotate(
        images=_count(Q()),
        reading=_count(Q(upload__status__in=[Upload.Status.RECEIVED, Upload.Status.PARSING])),
        analysing=_count(Q(upload__scans__analyses__status__in=[JobStatus.QUEUED, JobStatus.RUNNING])),
        refused=_count(Q(upload__status=Upload.Status.REFUSED)),
        failed=_count(Q(upload__status=Upload.Status.FAILED)),
        elsewhere=_count(Q(upload=None)),
    )
    return {key: ArchiveProgress() for key in keys} | {
        row.pop("archive"): ArchiveProgress(**row) for row in counted
    }


def archive_members(archive: Upload, *, first: int, most: int) -> list[ArchiveMember]:
    """Members of an archive by position, with uploads, scans and analyses; a fixed number of queries."""
    analyses = Prefetch(
        "upload__scans__analyses", queryset=Analysis.objects.select_related("model_version", "calibration")
    )
    members = archive.members.select_related("upload").prefetch_related("upload__scans", analyses)
    return list(members[first : first + most])


def _count(condition: Q) -> Count:
    return Count("pk", filter=condition, distinct=True)
