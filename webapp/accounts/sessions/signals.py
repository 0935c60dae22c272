"""Notes sessions as users sign in and out, by whatever means they do."""

from __future__ import annotations

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from webapp.accounts.models import User
from webapp.accounts.sessions.services import session_begin, session_note_end


@receiver(user_logged_in)
def _begun(sender, request: HttpRequest | None, user: User, **kwargs) -> None:
    if request is not None:
        session_begin(request=request, user=user)


@receiver(user_logged_out)
def _over(sender, request: HttpRequest | None, user: User | None, **kwargs) -> None:
    if request is not None:
        session_note_end(session_key=request.session.session_key)
