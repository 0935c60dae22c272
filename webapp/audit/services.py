"""Writing the audit log."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db import models

from webapp.accounts.models import Site, User
from webapp.audit.models import AuditEvent, Channel
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
    return AuditEvent.objects.create(
        actor=actor if actor is not None and actor.is_authenticated else None,
        site=site,
        patient=patient or _patient_of(subject),
        action=action,
        subject=f"{subject._meta.label_lower}:{subject.pk}" if subject is not None else "",
        detail=(running_command.get() or {}) | (detail or {}),
        request_id=request_id.get(),
        **_origin(),
    )


def acting_user() -> User | None:
    """The user of the request that is being served; None outside of one, or for nobody."""
    user = getattr(current_request.get(), "user", None)
    return user if isinstance(user, User) else None


def _origin() -> dict[str, str]:
    """Address and channel of what is being done."""
    request = current_request.get()
    if request is None:
        return {"channel": Channel.COMMAND if running_command.get() else Channel.SYSTEM}
    starts = {"/api/": Channel.API, "/dicomweb/": Channel.API, "/admin/": Channel.ADMIN}
    channel = next((one for path, one in starts.items() if request.path.startswith(path)), Channel.PAGE)
    return {"channel": channel, "address": client_ip(request) or ""}


def _patient_of(subject: models.Model | None) -> UUID | None:
    """The patient of a record, as far as it is known without asking the database again."""
    if subject is None:
        return None
    if subject._meta.label_lower == "scans.patient":
        key: UUID = subject.pk
        return key
    for path in (("study",), ("series", "study"), ("scan", "series", "study"), ()):
        if (found := _loaded(subject, path)) is not None:
            return found
    return None


def _loaded(record: models.Model, path: tuple[str, ...]) -> UUID | None:
    for name in path:
        if name not in record._state.fields_cache:
            return None
        record = record._state.fields_cache[name]
        if record is None:
            return None
    key = getattr(record, "patient_id", None)
    return key if isinstance(key, UUID) else None
