"""Reading the registry."""

from __future__ import annotations

import uuid
from pathlib import Path

from django.db.models import QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.registry.models import ModelStatus, ModelVersion


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
