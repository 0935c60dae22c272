"""Budgets for failed sign-ins. What is over budget is refused before any password is hashed.

Besides the account at one address, which django-axes counts, there is a budget for an account from anywhere
and one for an address with any account. Neither stops a user at an address that they have signed in from
lately: nobody locks out a colleague, and a guesser does not lock out a hospital with one address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.accounts.models import UserSession
from webapp.core.errors import CodedError
from webapp.core.http.network import client_ip

KNOWN_FOR = timedelta(days=30)
HASHED_AT_ONCE, WAITING = 2, 6  # in one process of the web server

_hashing, _places = BoundedSemaphore(HASHED_AT_ONCE), BoundedSemaphore(HASHED_AT_ONCE + WAITING)


class SignInBudgets(AxesDatabaseHandler):
    """The handler of django-axes, with the two further budgets."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        if super().is_locked(request, credentials):
            return True
        request.axes_locked_out = _over_budget(request, credentials)  # type: ignore[attr-defined]
        locked: bool = request.axes_locked_out  # type: ignore[attr-defined]
        return locked

    def user_login_failed(self, sender, credentials: dict, request=None, **kwargs) -> None:
        """What was refused by a budget is no further failure: nothing was tried."""
        if getattr(request, "axes_locked_out", False):
            request.axes_credentials = credentials
            return
        super().user_login_failed(sender, credentials, request, **kwargs)


def sign_in_address(request: HttpRequest) -> str | None:
    """The address that failures count for: of IPv6 the network, of which one caller has all addresses."""
    address = client_ip(request)
    if address is None or ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address)


@contextmanager
def place_to_hash() -> Iterator[None]:
    """Hash at most HASHED_AT_ONCE passwords, while a few wait; raises CodedError `unavailable` for more."""
    if not _places.acquire(blocking=False):
        raise CodedError(
            "unavailable",
            _("Too many people are signing in at this moment."),
            _("Try again in a few seconds."),
        )
    try:
        with _hashing:
            yield
    finally:
        _places.release()


def _over_budget(request: HttpRequest, credentials: dict[str, Any] | None) -> bool:
    username, address = get_client_username(request, credentials), sign_in_address(request)
    recent = AccessAttempt.objects.filter(attempt_time__gte=get_cool_off_threshold(request))
    over = (
        _failures(recent.filter(ip_address=address)) >= settings.HILUM_SIGN_IN_FAILURES_PER_ADDRESS
        or _failures(recent.filter(username=username)) >= settings.HILUM_SIGN_IN_FAILURES_PER_ACCOUNT
    )
    return over and not _is_known(username, address)


def _is_known(username: str | None, address: str | None) -> bool:
    return UserSession.objects.filter(
        user__username=username, network=address or "", last_used_at__gte=timezone.now() - KNOWN_FOR
    ).exists()


def _failures(attempts: Any) -> int:
    return attempts.aggregate(total=Sum("failures_since_start"))["total"] or 0
