"""Writing the audit log."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.http import HttpRequest

from webapp.accounts.models import Site, User
from webapp.audit.models import AuditEvent, Channel
from webapp.audit.patients import loaded_patient
from webapp.core.http.current import current_request
from webapp.core.http.network import client_ip
from webapp.core.logs import request_id

# The management command that is running, and the system user that started it.
running_command: ContextVar[dict[str, str] | None] = ContextVar("running_command", default=None)


def record(
    *,
    actor: User | AnonymousUser | None,
    site: Site | None,
    action: str,
    subject: models.Model | None = None,
    detail: dict[str, Any] | None = None,
    patient: UUID | None = None,
) -> AuditEvent:
    """Add one event in the caller's transaction, so that an act and its trace stand or fall together.

    `actor` None: the system, or the command that runs. `action` is a dotted verb (`scan.move`). `detail`:
    codes and ids only. `patient`: whose data it was about; without it that of `subject`, if it has one.
    """
    request = current_request.get()
    token = getattr(actor, "api_token", None)
    known = (running_command.get() or {}) | ({"token": str(token.pk)} if token else {})
    event = AuditEvent.objects.create(
        actor=actor if actor is not None and actor.is_authenticated else None,
        site=site,
        patient=patient or loaded_patient(subject),
        action=action,
        subject=f"{subject._meta.label_lower}:{subject.pk}" if subject is not None else "",
        detail=known | (detail or {}),
        request_id=request_id.get(),
        **_origin(request),
    )
    if request is not None:
        request.is_recorded = True  # type: ignore[attr-defined]
    return event


def acting_user() -> User | None:
    """The user of the request that is being served; None outside of one, or for nobody."""
    user = getattr(current_request.get(), "user", None)
    return user if isinstance(user, User) else None


def _origin(request: HttpRequest | None) -> dict[str, str]:
    """Address and channel of what is being done."""
    if request is None:
        return {"channel": Channel.COMMAND if running_command.get() else Channel.SYSTEM}
    starts = {"/api/": Channel.API, "/dicomweb/": Channel.API, "/admin/": Channel.ADMIN}
    channel = next((one for path, one in starts.items() if request.path.startswith(path)), Channel.PAGE)
    return {"channel": channel, "address": client_ip(request) or ""}
