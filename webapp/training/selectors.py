"""Reading snapshots, training runs and schedules."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.db.models import QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.core.queries import get_or_404
from webapp.training.models import Snapshot, TrainingRun, TrainingSchedule


def runs_visible(user: User) -> QuerySet[TrainingRun]:
    """The runs that the user may see (their sites' and the global ones), newest first."""
    visible = for_sites(TrainingRun.objects.all(), user, "model.view", include_global=True)
    return visible.select_related("site", "started_by", "candidate", "snapshot", "base").order_by(
        "-created_at", "-pk"
    )


def run_or_404(user: User, run_id: uuid.UUID) -> TrainingRun:
    return get_or_404(runs_visible(user), run_id)


def snapshots_visible(user: User) -> QuerySet[Snapshot]:
    """The snapshots that the user may see (their sites' and those of all sites), newest first."""
    visible = for_sites(Snapshot.objects.all(), user, "model.view", include_global=True)
    return visible.select_related("site", "created_by", "validation").order_by("-created_at", "-pk")


def snapshot_or_404(user: User, snapshot_id: uuid.UUID) -> Snapshot:
    return get_or_404(snapshots_visible(user), snapshot_id)


def schedules_visible(user: User) -> QuerySet[TrainingSchedule]:
    """The schedules that the user may see, newest first."""
    visible = for_sites(TrainingSchedule.objects.all(), user, "model.view", include_global=True)
    return visible.select_related("site", "created_by").order_by("-created_at", "-pk")


def schedule_or_404(user: User, schedule_id: uuid.UUID) -> TrainingSchedule:
    return get_or_404(schedules_visible(user), schedule_id)


def named_files() -> Iterator[tuple[str, str]]:
    """The stored manifests with their sha256, for the comparison of rows and store."""
    yield from Snapshot.objects.values_list("stored_name", "fingerprint").iterator()
