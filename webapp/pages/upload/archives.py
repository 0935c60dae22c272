"""Archives on the upload page: their state in one sentence, and the rows of their images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from classifier.images.archive.listing import SKIP_LABELS
from webapp.analysis.archives import ArchiveProgress, archives_progress
from webapp.analysis.state import ScanStatus
from webapp.pages.scan.state_display import StateDisplay
from webapp.scans.models import ArchiveMember, Upload

ROWS_AT_MOST = 200
NAMES_AT_MOST = 6


def archive_rows(uploads: Iterable[Upload]) -> dict[UUID, dict[str, Any]]:
    """The additional values of the unpacked archives among the uploads; two queries."""
    archives = [upload for upload in uploads if upload.is_unpacked]
    progress, members = archives_progress(archive.pk for archive in archives), _members(archives)
    return {
        archive.pk: state_values(archive_display(progress[archive.pk], archive.skipped))
        | {"members": members[archive.pk]}
        for archive in archives
    }


def state_values(state: StateDisplay) -> dict[str, Any]:
    return {"text": state.sentence, "remedy": state.remedy, "dot": state.dot, "finished": not state.pending}


def archive_display(progress: ArchiveProgress, skipped: list[dict[str, Any]]) -> StateDisplay:
    """How many images an archive contains, how many have no result, what was skipped and why."""
    counts = [
        (progress.images, ngettext("%(number)s image", "%(number)s images", progress.images)),
        (progress.under_way, _("%(number)s in progress")),
        (progress.refused, _("%(number)s refused")),
        (progress.failed, _("%(number)s failed")),
        (progress.elsewhere, _("%(number)s already uploaded for another patient")),
    ]
    parts = [text % {"number": count} for count, text in counts if count]
    headline = _("Archive: %(contents)s") % {"contents": ", ".join(parts)}
    remedy = ""
    if skipped:
        names = [name for one in skipped for name in one["names"]][:NAMES_AT_MOST]
        count = sum(one["count"] for one in skipped)
        reasons = ", ".join(f"{one['count']} {SKIP_LABELS[one['reason']]}" for one in skipped)
        headline += "; " + _("%(number)s skipped (%(reasons)s)") % {"number": count, "reasons": reasons}
        more = " …" if count > len(names) else ""
        remedy = _("Skipped: %(names)s") % {"names": ", ".join(names) + more} if names else ""
    status = ScanStatus.ANALYSING if progress.under_way else ScanStatus.DONE
    return StateDisplay(status, headline, remedy=remedy, pending=bool(progress.under_way))


def _members(archives: list[Upload]) -> dict[UUID, list[dict[str, str]]]:
    """The first images of each archive that have a row of their own: id and name in the archive."""
    members: dict[UUID, list[dict[str, str]]] = defaultdict(list)
    if archives:
        rows = ArchiveMember.objects.filter(
            archive__in=archives, upload__isnull=False, position__lt=ROWS_AT_MOST
        )
        for archive, upload, name, position in rows.values_list("archive", "upload", "name", "position"):
            members[archive].append(
                {"id": str(upload), "name": name or _("image %(number)s") % {"number": position + 1}}
            )
    return members
