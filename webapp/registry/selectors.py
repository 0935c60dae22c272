"""Reading the registry."""

from __future__ import annotations

import uuid
from enum import StrEnum
from pathlib import Path

from django.db.models import QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.core import storage
from webapp.core.jobs.table import JobStatus
from webapp.core.queries import get_or_404
from webapp.registry.models import Comparison, ModelStatus, ModelVersion, PromotionPolicy
from webapp.registry.promotion_gate import PolicyRules


def active_models() -> dict[str, ModelVersion]:
    """The active version of every slot that has one."""
    return {version.slot: version for version in ModelVersion.objects.filter(status=ModelStatus.ACTIVE)}


def artifact_path(version: ModelVersion) -> Path:
    """Path of the artifact; load it with `version.sha256` as the expected hash."""
    return storage.path_of(version.stored_name)


def models_visible(user: User) -> QuerySet[ModelVersion]:
    """The versions that the user may see (their sites' and the global ones): active first, then newest."""
    visible = for_sites(ModelVersion.objects.all(), user, "model.view", include_global=True)
    return visible.select_related("site", "registered_by").order_by("slot", "status", "-number")


def model_or_404(user: User, model_id: uuid.UUID) -> ModelVersion:
    return get_or_404(models_visible(user), model_id)


class PromotionStatus(StrEnum):
    """`exempt`: no model is active, or the version was active before."""

    PASSED = "passed"
    FAILED = "failed"
    UNJUDGED = "unjudged"
    EXEMPT = "exempt"


def promotion_status(
    version: ModelVersion, active: ModelVersion | None
) -> tuple[PromotionStatus, Comparison | None]:
    """The version's status at the promotion gate, and the comparison it rests on.

    An outcome holds only for the active model and the policy that it was made with.
    """
    if version.status != ModelStatus.CANDIDATE:
        return PromotionStatus.EXEMPT, None
    judged = version.comparisons.filter(active=active, status=JobStatus.DONE).defer("changes")
    latest = judged.order_by("-created_at").first()
    if latest is None:
        return PromotionStatus.EXEMPT if active is None else PromotionStatus.UNJUDGED, None
    if latest.policy_number != current_policy()[0]:
        return PromotionStatus.UNJUDGED, latest
    return PromotionStatus(latest.outcome), latest


def current_policy() -> tuple[int, PolicyRules]:
    """Number and rules; number 0 is the default policy."""
    latest = PromotionPolicy.objects.order_by("-number").first()
    return (latest.number, PolicyRules.of(latest.rules)) if latest else (0, PolicyRules())


def comparisons_visible(user: User) -> QuerySet[Comparison]:
    """The comparisons of the versions that the user may see, newest first."""
    visible = for_sites(Comparison.objects.all(), user, "model.view", "candidate__site", include_global=True)
    return visible.select_related("candidate", "active", "requested_by").order_by("-created_at", "-pk")


def comparison_or_404(user: User, comparison_id: uuid.UUID) -> Comparison:
    return get_or_404(comparisons_visible(user), comparison_id)
