"""Reading snapshots, training runs and plans."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.db.models import QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.core.errors import CodedError
from webapp.training.models import RetrainingPlan, Snapshot, TrainingRun


def runs_visible(user: User) -> QuerySet[TrainingRun]:
    """The runs that the user may see (their sites' and the global ones), newest first."""
    visible = for_sites(TrainingRun.objects.all(), user, "model.view", include_global=True)
    return visible.select_related("site", "started_by", "candidate", "snapshot", "base").order_by(
        "-created_at", "-pk"
    )


def run_or_404(user: User, run_id: uuid.UUID) -> TrainingRun:
    """Raises CodedError `not_found` (404), for strangers as for what does not exist."""
    run = runs_visible(user).filter(pk=run_id).first()
    if run is None:
        raise CodedError("not_found")
    return run


def snapshots_visible(user: User) -> QuerySet[Snapshot]:
    """The snapshots that the user may see (their sites' and those of all sites), newest first."""
    visible = for_sites(Snapshot.objects.all(), user, "model.view", include_global=True)
    return visible.select_related("site", "made_by", "audit").order_by("-created_at", "-pk")


def snapshot_or_404(user: User, snapshot_id: uuid.UUID) -> Snapshot:
    """Raises CodedError `not_found` (404), for strangers as for what does not exist."""
    snapshot = snapshots_visible(user).filter(pk=snapshot_id).first()
    if snapshot is None:
        raise CodedError("not_found")
    return snapshot


def plans_visible(user: User) -> QuerySet[RetrainingPlan]:
    """The plans that the user may see, newest first."""
    visible = for_sites(RetrainingPlan.objects.all(), user, "model.view", include_global=True)
    return visible.select_related("site", "made_by").order_by("-created_at", "-pk")


def plan_or_404(user: User, plan_id: uuid.UUID) -> RetrainingPlan:
    """Raises CodedError `not_found` (404), for strangers as for what does not exist."""
    plan = plans_visible(user).filter(pk=plan_id).first()
    if plan is None:
        raise CodedError("not_found")
    return plan


def named_files() -> Iterator[tuple[str, str]]:
    """The stored manifests with their sha256, for the comparison of rows and store."""
    yield from Snapshot.objects.values_list("stored_name", "fingerprint").iterator()
