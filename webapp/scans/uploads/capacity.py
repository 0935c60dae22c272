"""Whether uploads are taken now: free disk space, how many wait to be processed, quotas of site and user.

Every way in asks here before it reads the file: pages, API, DICOMweb and the DICOM listener.
"""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from webapp.accounts.models import Site, User
from webapp.core.errors import CodedError
from webapp.scans.models import Upload, UploadStatus

KNOWN_SECONDS = 1.0
RETRY_SECONDS = 30
WINDOW = timedelta(hours=1)
DISK_FULL, QUEUE_FULL = "disk_full", "queue_full"
# In HILUM_SITE_UPLOADS: every site that is not named.
OTHER_SITES = "*"


class Capacity:
    """Looks at most once a second: it costs a query, and many threads ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self._until = 0.0
        self._known: str | None = None

    def exceeded(self) -> str | None:
        """The code of what is full, None while uploads are taken."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._known = exceeded()
                self._until = time.monotonic() + KNOWN_SECONDS
            return self._known


shared = Capacity()


def demand_capacity(*, user: User, site: Site, capacity: Capacity = shared) -> None:
    """Refuse an upload that cannot be taken now; what was accepted stays accepted.

    Raises CodedError `disk_full`, `queue_full` (503) or `upload_quota` (429), each with the seconds to wait.
    """
    if code := capacity.exceeded():
        raise CodedError(code, retry_after=RETRY_SECONDS)
    for whose, most, uploads in _quotas(user, site):
        if wait := _wait(uploads, most):
            message = f"The {whose} has uploaded {most} files within an hour, which is its quota."
            raise CodedError("upload_quota", message, retry_after=wait)


def exceeded() -> str | None:
    if shutil.disk_usage(settings.HILUM_DATA).free < settings.HILUM_DISK_FLOOR:
        return DISK_FULL
    # Counting stops at the bound.
    waiting = Upload.objects.filter(status=UploadStatus.RECEIVED)[: settings.HILUM_MAX_WAITING]
    return QUEUE_FULL if waiting.count() >= settings.HILUM_MAX_WAITING else None


def _quotas(user: User, site: Site) -> Iterator[tuple[str, int, QuerySet[Upload]]]:
    by_site = settings.HILUM_SITE_UPLOADS
    of_site, of_user = int(by_site.get(site.slug, by_site.get(OTHER_SITES, 0))), settings.HILUM_USER_UPLOADS
    uploads = Upload.objects.filter(site=site, created_at__gt=timezone.now() - WINDOW)
    if of_site:
        yield "site", of_site, uploads
    if of_user:
        yield "user", of_user, uploads.filter(user=user)


def _wait(uploads: QuerySet[Upload], most: int) -> int:
    """Seconds until there are fewer than `most` in the window; 0 when there are."""
    reaching = uploads.order_by("-created_at").values_list("created_at", flat=True)[most - 1 : most]
    for oldest in reaching:
        return max(1, math.ceil((oldest + WINDOW - timezone.now()).total_seconds()))
    return 0
