"""Ends sessions at their limits."""

from __future__ import annotations

from django.contrib.auth import logout
from django.http import HttpRequest

from webapp.accounts.models import User
from webapp.accounts.sessions.services import session_is_over, session_use
from webapp.core.http.middleware import Middleware

# What an open page asks for without its reader: it keeps nobody signed in.
BACKGROUND = frozenset(
    {
        *("pages:worklist_rows", "pages:worklist_waiting", "pages:scan_state", "pages:scan_compare_state"),
        *("pages:run_state", "pages:destination_log", "pages:label_manifest_state", "pages:label_claim"),
        "pages:script_texts",
    }
)


class SessionLimits(Middleware):
    """Signs out a session that is too old or unused for too long; the page then asks to sign in."""

    def process_view(self, request: HttpRequest, *_view: object) -> None:
        user = request.user
        if not isinstance(user, User) or getattr(user, "api_token", None) is not None:
            return
        if session_is_over(request):
            logout(request)
        elif request.resolver_match is None or request.resolver_match.view_name not in BACKGROUND:
            session_use(request=request, user=user)
