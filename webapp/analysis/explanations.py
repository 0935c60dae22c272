"""Explanations: maps by other explainers, computed once on request."""

from __future__ import annotations

from django.db import transaction

from classifier.contract import RELATIVE
from webapp.accounts.models import User
from webapp.analysis.models import Analysis, Explanation
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import JobStatus


def explanation_of(analysis: Analysis, method: str) -> Explanation | None:
    """The requested explanation, if any; raises CodedError `not_found` for an unknown method."""
    if method not in RELATIVE:
        raise CodedError("not_found", f"There is no explainer {method[:16]!r}.", "See the list of them.")
    return Explanation.objects.filter(analysis=analysis, method=method).first()


@transaction.atomic
def explanation_request(*, analysis: Analysis, method: str, actor: User) -> Explanation:
    """The explanation of an analysis by a method: the existing one, or a new or failed one queued.

    Raises CodedError `not_ready` while the analysis is not done, and what `explanation_of` raises.
    """
    known = explanation_of(analysis, method)
    if analysis.status != JobStatus.DONE:
        raise CodedError("not_ready")
    if known is None:
        known, asked = Explanation.objects.get_or_create(analysis=analysis, method=method)
    else:
        asked = known.status == JobStatus.FAILED and known.retry()
    if asked:
        detail = {"method": method, "scan": str(analysis.scan_id)}
        site = analysis.scan.site
        record(actor=actor, site=site, action="analysis.explained", subject=analysis, detail=detail)
        notify_workers(Queue.INFER)
        known.refresh_from_db()
    return known
