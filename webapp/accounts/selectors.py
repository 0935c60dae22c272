"""Reads of one's own account."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from webapp.accounts.models import ApiToken, User, UserSession

SHOWN_AFTER_END = timedelta(days=30)


def sessions_of(user: User) -> QuerySet[UserSession]:
    """The user's sessions that go on, the latest used first."""
    now = timezone.now()
    begun_after = now - timedelta(hours=settings.HILUM_SESSION_HOURS)
    open_ones = UserSession.objects.filter(user=user, ended_at=None, created_at__gte=begun_after)
    if settings.HILUM_SESSION_IDLE_MINUTES:
        used_after = now - timedelta(minutes=settings.HILUM_SESSION_IDLE_MINUTES + 1)
        open_ones = open_ones.filter(last_used_at__gte=used_after)
    return open_ones


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """The user's tokens: those that work, and those that ended lately."""
    since = timezone.now() - SHOWN_AFTER_END
    recent = (Q(revoked_at=None) | Q(revoked_at__gte=since)) & (Q(expires_at=None) | Q(expires_at__gte=since))
    return ApiToken.objects.filter(recent, user=user).select_related("site")
