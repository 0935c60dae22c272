"""Reading training runs."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.core.errors import CodedError
from webapp.training.models import TrainingRun


def runs_visible(user: User) -> QuerySet[TrainingRun]:
    """The runs that the user may see (their sites' and the global ones), newest first."""
    visible = for_sites(TrainingRun.objects.all(), user, "model.view", include_global=True)
    return visible.select_related("site", "started_by", "candidate").order_by("-created_at", "-pk")


def run_or_404(user: User, run_id: uuid.UUID) -> TrainingRun:
    """Raises CodedError `not_found` (404), for strangers as for what does not exist."""
    run = runs_visible(user).filter(pk=run_id).first()
    if run is None:
        raise CodedError("not_found")
    return run
