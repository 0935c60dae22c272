"""The life of explanations: maps by other explainers, made when somebody asks for them, once."""

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
    """What is known of a map that was asked for; raises CodedError `not_found` for no method of ours."""
    if method not in RELATIVE:
        raise CodedError("not_found", f"There is no explainer {method[:16]!r}.", "See the list of them.")
    return Explanation.objects.filter(analysis=analysis, method=method).first()


@transaction.atomic
def explanation_request(*, analysis: Analysis, method: str, actor: User) -> Explanation:
    """Ask for an analysis' maps by a method; what is there, or under way, is answered as it stands.

    One that failed is tried again. Raises CodedError `not_ready` where the model has not answered yet, and
    what `explanation_of` raises.
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
