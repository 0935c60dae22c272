"""The form with which a user replaces the own password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import authenticate, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from webapp.accounts.models import User
from webapp.accounts.sessions.services import session_begin


class OwnPasswordForm(PasswordChangeForm):
    """Django's form; the current password counts as a sign-in, so that a session cannot guess it for long."""

    def __init__(self, request: HttpRequest, user: User, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(user, *args, **kwargs)
        self.fields["old_password"].label = _("Current password")

    def clean_old_password(self) -> str:
        current: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.get_username(), password=current) is None:
            raise forms.ValidationError(_("This is not your current password."), code="password_incorrect")
        return current

    @transaction.atomic
    def replace(self) -> None:
        """Store the new password; of the user's sessions only this one goes on."""
        user = self.save()
        update_session_auth_hash(self.request, user)
        session_begin(request=self.request, user=user)
