"""The marks of an image, as they are now and with their earlier versions."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.core.queries import get_or_404
from webapp.labels.marks.models import ImageMark
from webapp.scans.models import Scan


def marks_of(scan: Scan) -> QuerySet[ImageMark]:
    """The current marks, oldest version first."""
    return mark_versions(scan).filter(superseded_by=None, deleted=False)


def mark_versions(scan: Scan) -> QuerySet[ImageMark]:
    """Every version, deletions included, oldest first."""
    return ImageMark.objects.filter(scan=scan).select_related("superseded_by")


def mark_or_404(user: User, mark_id: UUID) -> ImageMark:
    """Raises CodedError `not_found` for whoever may not see the scan."""
    marks = ImageMark.objects.select_related("scan__site", "superseded_by")
    return get_or_404(for_sites(marks, user, "scan.view", path="scan__site"), mark_id)
