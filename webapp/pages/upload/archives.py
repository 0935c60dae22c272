"""What became of archives, as the upload page's rows show it: in a sentence, with rows of their images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from classifier.images.archive.listing import SKIP_LABELS
from webapp.analysis.archives import ArchiveProgress, archives_progress
from webapp.pages.scan.outcome import Outcome
from webapp.scans.models import ArchiveMember, Upload

MOST_ROWS = 200
MOST_NAMES = 6


def archive_answers(uploads: Iterable[Upload]) -> dict[UUID, dict[str, Any]]:
    """For each unpacked archive among the uploads what its row shows beyond any other's; two queries."""
    archives = [upload for upload in uploads if upload.is_unpacked]
    progress, members = archives_progress(archive.pk for archive in archives), _members(archives)
    answers = {}
    for archive in archives:
        outcome = outcome_of_archive(progress[archive.pk], archive.skipped)
        answers[archive.pk] = {
            "text": outcome.sentence,
            "remedy": outcome.remedy,
            "dot": outcome.dot,
            "finished": not outcome.pending,
            "members": members[archive.pk],
        }
    return answers


def outcome_of_archive(progress: ArchiveProgress, skipped: list[dict[str, Any]]) -> Outcome:
    """How an archive stands: what is in it, what of it got no result, what was left out and why."""
    counts = [
        (progress.under_way, _("%(number)s in progress")),
        (progress.refused, _("%(number)s refused")),
        (progress.failed, _("%(number)s failed")),
        (progress.elsewhere, _("%(number)s already uploaded for another patient")),
    ]
    images = ngettext("%(number)s image", "%(number)s images", progress.images)
    said = [words % {"number": count} for count, words in [(progress.images, images), *counts] if count]
    headline = _("Archive: %(what)s") % {"what": ", ".join(said)}
    names = [name for one in skipped for name in one["names"]][:MOST_NAMES]
    remedy = ""
    if skipped:
        reasons = [f"{one['count']} {SKIP_LABELS[one['reason']]}" for one in skipped]
        count = sum(one["count"] for one in skipped)
        left_out = {"number": count, "reasons": ", ".join(reasons)}
        headline += "; " + _("%(number)s skipped (%(reasons)s)") % left_out
        more = " …" if count > len(names) else ""
        remedy = _("Skipped: %(names)s") % {"names": ", ".join(names) + more} if names else ""
    return Outcome("analysing" if progress.under_way else "unpacked", headline, remedy=remedy)


def _members(archives: list[Upload]) -> dict[UUID, list[dict[str, str]]]:
    """The first images of each archive that have a row of their own: id and name in the archive."""
    members: dict[UUID, list[dict[str, str]]] = defaultdict(list)
    if archives:
        rows = ArchiveMember.objects.filter(
            archive__in=archives, upload__isnull=False, position__lt=MOST_ROWS
        )
        for archive, upload, name, position in rows.values_list("archive", "upload", "name", "position"):
            members[archive].append({"id": str(upload), "name": name or f"image {position + 1}"})
    return members
