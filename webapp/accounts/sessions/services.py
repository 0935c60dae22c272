"""The sessions of the pages: their beginning, use and end."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from webapp.accounts.models import User, UserSession
from webapp.accounts.sign_in.throttling import sign_in_address
from webapp.core.http.network import client_ip

KEPT = timedelta(days=90)
NOTED_EVERY = 60  # seconds; a request within them writes nothing
_BEGUN, _USED = "begun_at", "used_at"


def session_begin(*, request: HttpRequest, user: User) -> None:
    """Note the session that the request has just signed in to, or that is older than these notes."""
    now = time.time()
    request.session[_BEGUN] = request.session[_USED] = now
    if request.session.session_key is None:
        request.session.save()
    UserSession.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={
            "user": user,
            "address": client_ip(request) or "",
            "network": sign_in_address(request) or "",
            "user_agent": request.headers.get("User-Agent", "")[:200],
            "last_used_at": timezone.now(),
            "ended_at": None,
        },
    )


def session_is_over(request: HttpRequest) -> bool:
    """Whether the session has reached the limit on its age, or has not been used for too long."""
    now, session = time.time(), request.session
    begun, used = session.get(_BEGUN), session.get(_USED)
    if begun is None or used is None:
        return False
    idle = settings.HILUM_SESSION_IDLE_MINUTES * 60
    return now - begun > settings.HILUM_SESSION_HOURS * 3600 or bool(idle and now - used > idle)


def session_use(*, request: HttpRequest, user: User) -> None:
    """Note that the session is in use, once a minute."""
    session = request.session
    if _BEGUN not in session:
        session_begin(request=request, user=user)
    elif time.time() - session.get(_USED, 0) >= NOTED_EVERY:
        session[_USED] = time.time()
        UserSession.objects.filter(session_key=session.session_key).update(last_used_at=timezone.now())


def session_note_end(*, session_key: str | None) -> None:
    """Note that this session was signed out."""
    UserSession.objects.filter(session_key=session_key, ended_at=None).update(ended_at=timezone.now())


@transaction.atomic
def sessions_end(*, user: User, only: UUID | None = None, keep: str | None = None) -> list[UserSession]:
    """End the sessions but that with the key `keep`, or a single one (`only`); returns those ended."""
    ending = UserSession.objects.filter(user=user, ended_at=None).exclude(session_key=keep or "")
    if only is not None:
        ending = ending.filter(pk=only)
    ended = list(ending)
    Session.objects.filter(session_key__in=[one.session_key for one in ended]).delete()
    for one in ended:
        one.ended_at = timezone.now()
        one.save(update_fields=["ended_at"])
    return ended


def sessions_tidy() -> None:
    """Forget sessions that were last used long ago."""
    UserSession.objects.filter(last_used_at__lt=timezone.now() - KEPT).delete()
