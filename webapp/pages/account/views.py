"""Pages of one's own account: password, sessions, API tokens. No token opens them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.accounts.permissions import Permission
from webapp.accounts.selectors import sessions_of, tokens_of
from webapp.accounts.services import (
    DEFAULT_SCOPES,
    TOKEN_DAYS,
    active_membership,
    signed_in,
    token_create,
    token_revoke,
)
from webapp.accounts.sessions.confirmation import FIELD as CONFIRM_FIELD
from webapp.accounts.sessions.confirmation import confirm
from webapp.accounts.sessions.devices import device_name
from webapp.accounts.sessions.services import sessions_end
from webapp.accounts.sign_in.forms import OwnPasswordForm
from webapp.core.errors import CodedError
from webapp.core.queries import get_or_404
from webapp.pages.access import active_site
from webapp.pages.feedback import errors_shown
from webapp.pages.request_data import uuid_or_none

LONGEST_NAME = 100
DAYS_OFFERED = (7, 30, TOKEN_DAYS, 365)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """GET shows the form; POST replaces the password and ends the other sessions and the API tokens."""
    form = OwnPasswordForm(request, signed_in(request.user), request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.replace()
        messages.success(request, _("Password changed. Your other sessions and your API tokens have ended."))
        return redirect("pages:account_password")
    return render(request, "account/password.html", {"form": form})


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def confirmation(request: HttpRequest) -> HttpResponse:
    """GET asks for the password; POST `confirm_password` makes the session confirmed for a while."""
    problem = ""
    if request.method == "POST":
        given = request.POST.get(CONFIRM_FIELD, "")
        if confirm(request=request, user=signed_in(request.user), password=given):
            messages.success(request, _("Confirmed. Repeat what you were about to do."))
            return redirect("pages:account_sessions")
        problem = _("This is not your current password.")
    return render(request, "account/confirm.html", {"problem": problem, "alone": True})


@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    rows = [
        {"row": one, "device": device_name(one.user_agent), "own": one.session_key == _session_key(request)}
        for one in sessions_of(signed_in(request.user))
    ]
    return render(request, "account/sessions.html", {"rows": rows})


@require_POST
def sessions_close(request: HttpRequest) -> HttpResponse:
    """End the session POST `session`, or without one all others."""
    only = uuid_or_none(request.POST["session"]) if "session" in request.POST else None
    if "session" in request.POST and only is None:
        return redirect("pages:account_sessions")
    ended = sessions_end(user=signed_in(request.user), only=only, keep=_session_key(request))
    text = ngettext("%(count)d session ended.", "%(count)d sessions ended.", len(ended))
    messages.success(request, text % {"count": len(ended)})
    return redirect("pages:account_sessions")


@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """GET lists the tokens; POST makes one (`name`, `scope` several, `days`) and shows its text, once."""
    active_site(request)
    made = None
    if request.method == "POST":
        with errors_shown(request):
            made = _token_made(request)
    membership = active_membership(request)
    granted = sorted(membership.role.permissions) if membership else []
    context = {
        "tokens": tokens_of(signed_in(request.user)),
        "scopes": [(scope, scope in DEFAULT_SCOPES) for scope in granted],
        "days": DAYS_OFFERED,
        "standard": TOKEN_DAYS,
        "made": made,
    }
    return render(request, "account/tokens.html", context)


@require_POST
def token_end(request: HttpRequest, token_id: UUID) -> HttpResponse:
    token = get_or_404(tokens_of(signed_in(request.user)).filter(revoked_at=None), token_id)
    token_revoke(token=token)
    messages.success(request, _("Token “%(name)s” revoked.") % {"name": token.name})
    return redirect("pages:account_tokens")


def _token_made(request: HttpRequest) -> dict[str, Any]:
    given = request.POST.get("days", "")
    days = int(given) if given in {str(one) for one in DAYS_OFFERED} else TOKEN_DAYS
    scopes = request.POST.getlist("scope")
    if not scopes or set(scopes) - set(Permission):
        raise CodedError("invalid", _("No scope is selected."), _("Select at least one scope."))
    token, text = token_create(
        user=signed_in(request.user),
        site=active_site(request),
        name=request.POST.get("name", "").strip()[:LONGEST_NAME] or _("unnamed"),
        scopes=scopes,
        expires_at=timezone.now() + timedelta(days=days),
    )
    return {"token": token, "text": text}


def _session_key(request: HttpRequest) -> str | None:
    return request.session.session_key
