"""What the API says of an archive: each image in it as far as it has come, and what was left out."""

from __future__ import annotations

from typing import Any

from webapp.analysis.archives import archive_members, archives_progress
from webapp.analysis.state import state_of
from webapp.api.serializers.scans import scan_answer
from webapp.scans.models import ArchiveMember, Upload

MOST_MEMBERS = 500
ELSEWHERE = "patient_conflict"


def archive_answer(archive: Upload, *, first: int = 0) -> dict[str, Any]:
    """The API's form of an unpacked archive, with the members from the `first` on."""
    progress = archives_progress([archive.pk])[archive.pk]
    members = archive_members(archive, first=first, most=MOST_MEMBERS)
    return scan_answer(archive, []) | {
        "members": [_member(member) for member in members],
        "members_total": progress.images,
        "skipped": archive.skipped,
    }


def _member(member: ArchiveMember) -> dict[str, Any]:
    told = {"id": None, "file": member.name, "status": "refused", "reason": ELSEWHERE, "finding": None}
    if member.upload is None:
        return told
    state = state_of(member.upload)
    return told | {
        "id": member.upload_id,
        "status": state.status.value,
        "reason": state.reason or None,
        "finding": state.analysis.finding or None if state.analysis else None,
    }
