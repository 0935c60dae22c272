"""Writing the audit log."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import models

from webapp.accounts.models import Site, User
from webapp.audit.models import AuditEvent
from webapp.core.logs import request_id


def record(
    *,
    actor: User | AnonymousUser | None,
    site: Site | None,
    action: str,
    subject: models.Model | None = None,
    detail: dict[str, Any] | None = None,
) -> AuditEvent:
    """Add one event in the caller's transaction, so that an act and its trace stand or fall together.

    `actor` None: the system. `action` is a dotted verb (`scan.move`). `detail`: codes and ids only.
    """
    return AuditEvent.objects.create(
        actor=actor if actor is not None and actor.is_authenticated else None,
        site=site,
        action=action,
        subject=f"{subject._meta.label_lower}:{subject.pk}" if subject is not None else "",
        detail=detail or {},
        request_id=request_id.get(),
    )
