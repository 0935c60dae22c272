"""What people do with the worklist: views they save, studies they mark, failures they try again together."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping

from django.db import transaction
from django.db.models import QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.analysis.models import SavedView, StudyMark, StudyStatus, StudySummary
from webapp.analysis.services import analysis_retry
from webapp.analysis.state import current_analysis
from webapp.core.errors import CodedError
from webapp.core.jobs.table import JobStatus
from webapp.core.queries import get_or_404
from webapp.scans.models import Scan, Study

VIEWS_AT_MOST = 30


@transaction.atomic
def view_save(*, user: User, name: str, search: Mapping[str, str]) -> SavedView:
    """Keep a view under its name, in place of an earlier one of that name; raises CodedError `invalid`."""
    name = " ".join(name.split())[:60]
    if not name:
        raise CodedError("invalid", "A view needs a name.", "Type a name, such as My night list.")
    others = SavedView.objects.filter(user=user).exclude(name=name)
    if others.count() >= VIEWS_AT_MOST:
        raise CodedError("invalid", f"There are {VIEWS_AT_MOST} views already.", "Remove one first.")
    return SavedView.objects.update_or_create(user=user, name=name, defaults={"search": dict(search)})[0]


def view_or_404(*, user: User, view_id: uuid.UUID) -> SavedView:
    """One of the person's own views; anybody else's does not exist."""
    return get_or_404(SavedView.objects.filter(user=user), view_id)


def view_delete(*, user: User, view_id: uuid.UUID) -> None:
    view_or_404(user=user, view_id=view_id).delete()


@transaction.atomic
def studies_mark(*, user: User, studies: Iterable[uuid.UUID], marked: bool = True) -> int:
    """Put the person's mark on these studies, or take it off; returns how many of them there are to see."""
    seen = for_sites(Study.objects.filter(pk__in=list(studies)), user, "scan.view")
    keys = list(seen.values_list("pk", flat=True))
    if marked:
        wanted = [StudyMark(user=user, study_id=key) for key in keys]
        StudyMark.objects.bulk_create(wanted, ignore_conflicts=True)
    else:
        StudyMark.objects.filter(user=user, study__in=keys).delete()
    return len(keys)


def studies_retry(*, user: User, studies: Iterable[uuid.UUID]) -> int:
    """Queue again what failed on these studies, where the person may; returns how many analyses.

    What somebody else was quicker to queue is passed over.
    """
    failed = for_sites(_failed(studies), user, "scan.upload")
    retried = 0
    for scan in Scan.objects.filter(series__study__in=failed.values("study")).prefetch_related("analyses"):
        analysis = current_analysis(scan.analyses.all())
        if analysis is None or analysis.status != JobStatus.FAILED:
            continue
        try:
            analysis_retry(analysis=analysis, actor=user)
        except CodedError:
            continue
        retried += 1
    return retried


def _failed(studies: Iterable[uuid.UUID]) -> QuerySet[StudySummary]:
    return StudySummary.objects.filter(study__in=list(studies), status=StudyStatus.FAILED)
