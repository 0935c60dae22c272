"""Asking for the password again before what cannot be taken back easily, or takes data out."""

from __future__ import annotations

import time

from django.conf import settings
from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from webapp.accounts.models import User
from webapp.accounts.services import active_membership
from webapp.core.errors import CodedError
from webapp.core.http.middleware import Middleware
from webapp.core.http.problem_details import error_response, wants_json

FIELD = "confirm_password"
_CONFIRMED = "confirmed_at"
SENSITIVE = frozenset(
    {
        *("pages:model_promote", "pages:model_rollback", "pages:patient_merge_confirm"),
        *("pages:worklist_export", "pages:label_export", "pages:audit_export"),
        *("pages:members", "pages:member_role", "pages:member_change", "pages:account_tokens"),
    }
)
READING = "pages:reading_sign"


def is_confirmed(request: HttpRequest) -> bool:
    """Whether the user has given the password of this session lately, at sign-in or since."""
    last = max(request.session.get(_CONFIRMED, 0), request.session.get("begun_at", 0))
    return time.time() - last < settings.HILUM_CONFIRM_MINUTES * 60


def confirm(*, request: HttpRequest, user: User, password: str) -> bool:
    """Check the password as a sign-in does, failures counted; True makes the session confirmed."""
    if authenticate(request, username=user.get_username(), password=password) != user:
        return False
    request.session[_CONFIRMED] = time.time()
    return True


class ConfirmationRequired(Middleware):
    """Asks for the password where it was given long ago. What was posted is kept and then goes on.

    Programs with a session, such as the pages' scripts, get the coded error `confirmation_needed`.
    """

    def process_view(self, request: HttpRequest, *_view: object) -> HttpResponse | None:
        user = request.user
        if request.method != "POST" or not isinstance(user, User) or not self._is_sensitive(request):
            return None
        if not settings.HILUM_CONFIRM_MINUTES or is_confirmed(request):
            return None
        if wants_json(request):
            return error_response(request, CodedError("confirmation_needed"))
        given = request.POST.get(FIELD)
        if given is not None and confirm(request=request, user=user, password=given):
            return None
        problem = "" if given is None else _("This is not your current password.")
        kept = [(name, value) for name, values in request.POST.lists() for value in values]
        kept = [(name, value) for name, value in kept if name not in (FIELD, "csrfmiddlewaretoken")]
        return render(request, "account/confirm.html", {"kept": kept, "problem": problem}, status=403)

    def _is_sensitive(self, request: HttpRequest) -> bool:
        name = request.resolver_match.view_name if request.resolver_match else ""
        if name == READING:
            membership = active_membership(request)
            return membership is not None and membership.site.confirm_readings
        return name in SENSITIVE
