"""Sign-in with a password."""

from __future__ import annotations

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from webapp.accounts.services import may_authenticate
from webapp.accounts.sign_in.throttling import place_to_hash


class AccountBackend(ModelBackend):
    """Django's own check; demo accounts sign in on loopback in demo mode only."""

    def authenticate(self, request: HttpRequest | None, username=None, password=None, **kwargs):
        if password is None:
            return None
        with place_to_hash():
            user = super().authenticate(request, username=username, password=password, **kwargs)
        return user if user is not None and may_authenticate(user, request) else None

    def get_user(self, user_id):
        """The user of a session: read again for each request, which then reads the memberships once."""
        user = super().get_user(user_id)
        if user is not None:
            user.kept_memberships = None
        return user
