"""The life of explanations: maps by other explainers, made when somebody asks for them, once."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import transaction

from classifier.contract import RELATIVE, Cam
from webapp.accounts.models import User
from webapp.analysis.models import Analysis, AnalysisStatus, Explanation
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs import table as jobs
from webapp.core.jobs.queues import notify_workers

INFER = "worker.tasks.infer"


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
    if analysis.status != AnalysisStatus.DONE:
        raise CodedError("not_ready")
    if known is None:
        known, asked = Explanation.objects.get_or_create(analysis=analysis, method=method)
    else:
        asked = known.status == AnalysisStatus.FAILED and jobs.retry(known)
    if asked:
        detail = {"method": method, "scan": str(analysis.scan_id)}
        site = analysis.scan.site
        record(actor=actor, site=site, action="analysis.explained", subject=analysis, detail=detail)
        notify_workers(INFER)
        known.refresh_from_db()
    return known


def explanation_claim(*, lease: timedelta) -> Explanation | None:
    """The oldest explanation that waits, with what is needed to make it; it carries an `attempt_token`."""
    explanations_give_up()
    for claimed in jobs.claim(Explanation.objects.all(), n=1, lease=lease):
        whole = Explanation.objects.select_related(
            "analysis__model_version", "analysis__scan__series__study__patient"
        )
        return whole.get(pk=claimed.pk)
    return None


def explanation_done(*, explanation: Explanation, token: uuid.UUID, cam: Cam, seconds: float) -> bool:
    """Store the maps; False, and nothing is changed, when the attempt has lost its lease."""
    done = AnalysisStatus.DONE
    return jobs.finish(explanation, token, status=done, cam=cam.as_dict(), seconds=seconds, error_code="")


def explanation_fail(*, explanation: Explanation, token: uuid.UUID, code: str) -> bool:
    return jobs.finish(explanation, token, status=AnalysisStatus.FAILED, error_code=code)


def explanations_give_up() -> int:
    """Fail those whose last attempt lost its lease; answers how many."""
    return len(jobs.give_up(Explanation.objects.all()))
