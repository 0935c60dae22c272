"""How a password becomes a person."""

from __future__ import annotations

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from webapp.accounts.services import may_answer


class AccountBackend(ModelBackend):
    """Django's own check; demo accounts answer on loopback in demo mode only."""

    def authenticate(self, request: HttpRequest | None, username=None, password=None, **kwargs):
        user = super().authenticate(request, username=username, password=password, **kwargs)
        return user if user is not None and may_answer(user, request) else None
