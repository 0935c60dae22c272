"""What the API says of an archive: each image in it as far as it has come, and what was left out."""

from __future__ import annotations

from typing import Any

from webapp.analysis.archives import archive_members, archives_progress
from webapp.analysis.selectors import progress_of
from webapp.analysis.worklist.summaries import current_analysis
from webapp.api.serializers.scans import scan_answer
from webapp.scans.models import ArchiveMember, Upload

MOST_MEMBERS = 500
ELSEWHERE = "patient_conflict"


def archive_answer(archive: Upload, *, first: int = 0) -> dict[str, Any]:
    """The API's form of an unpacked archive, with the members from the `first` on."""
    progress = archives_progress([archive])[archive.pk]
    members = archive_members(archive, first=first, most=MOST_MEMBERS)
    return scan_answer(archive, []) | {
        "status": "analysing" if progress.under_way else "done",
        "members": [_member(member) for member in members],
        "members_total": progress.images,
        "skipped": archive.skipped,
    }


def _member(member: ArchiveMember) -> dict[str, Any]:
    told = {"id": None, "file": member.name, "status": "refused", "reason": ELSEWHERE, "finding": None}
    if member.upload is None:
        return told
    scan = next(iter(member.upload.scans.all()), None)
    analysis = current_analysis(scan.analyses.all()) if scan else None
    progress = progress_of(scan or member.upload)
    return told | {
        "id": member.upload_id,
        "status": progress.stage,
        "reason": progress.code or None,
        "finding": analysis.finding or None if analysis else None,
    }
