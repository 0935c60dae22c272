"""Reading the registry."""

from __future__ import annotations

import uuid
from enum import StrEnum
from pathlib import Path

from django.db.models import QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.registry.models import Comparison, ComparisonStatus, GatePolicy, ModelStatus, ModelVersion
from webapp.registry.promotion_gate import Policy


def active_models() -> dict[str, ModelVersion]:
    """The active version of every slot that has one."""
    return {version.slot: version for version in ModelVersion.objects.filter(status=ModelStatus.ACTIVE)}


def artifact_path(version: ModelVersion) -> Path:
    """Where the artifact lies; load it with `version.sha256` as the expected hash."""
    return storage.path_of(version.stored_name)


def models_visible(user: User) -> QuerySet[ModelVersion]:
    """The versions that the user may see (their sites' and the global ones): active first, then newest."""
    visible = for_sites(ModelVersion.objects.all(), user, "model.view", include_global=True)
    return visible.select_related("site", "registered_by").order_by("slot", "status", "-number")


def model_or_404(user: User, model_id: uuid.UUID) -> ModelVersion:
    """Raises CodedError `not_found` (404), for strangers as for what does not exist."""
    version = models_visible(user).filter(pk=model_id).first()
    if version is None:
        raise CodedError("not_found")
    return version


class Standing(StrEnum):
    """How a version stands with the gate. `free`: nothing is active, or it was active itself before."""

    PASSED = "passed"
    REFUSED = "refused"
    UNJUDGED = "unjudged"
    FREE = "free"


def standing_of(version: ModelVersion, active: ModelVersion | None) -> tuple[Standing, Comparison | None]:
    """What the gate says of the version beside the active model, and the comparison that it goes by.

    A verdict is of the model that was active then and of the policy that was in force then.
    """
    if version.status != ModelStatus.CANDIDATE:
        return Standing.FREE, None
    judged = version.comparisons.filter(active=active, status=ComparisonStatus.DONE).defer("changes")
    latest = judged.order_by("-created_at").first()
    if latest is not None and latest.policy_number != policy_in_force()[0]:
        return Standing.UNJUDGED, latest
    if latest is not None:
        return Standing.PASSED if latest.passed else Standing.REFUSED, latest
    return Standing.FREE if active is None else Standing.UNJUDGED, None


def policy_in_force() -> tuple[int, Policy]:
    """Number and rules; number 0 is the policy that comes with Hilum."""
    latest = GatePolicy.objects.order_by("-number").first()
    return (latest.number, Policy.of(latest.rules)) if latest else (0, Policy())


def comparisons_visible(user: User) -> QuerySet[Comparison]:
    """The comparisons of the versions that the user may see, newest first."""
    visible = for_sites(Comparison.objects.all(), user, "model.view", "candidate__site", include_global=True)
    return visible.select_related("candidate", "active", "requested_by").order_by("-created_at", "-pk")


def comparison_or_404(user: User, comparison_id: uuid.UUID) -> Comparison:
    """Raises CodedError `not_found` (404), for strangers as for what does not exist."""
    row = comparisons_visible(user).filter(pk=comparison_id).first()
    if row is None:
        raise CodedError("not_found")
    return row
