"""Demo accounts on loopback only, required sign-in, and the reader's time zone."""

from __future__ import annotations

import zoneinfo

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from webapp.accounts.services import active_membership, may_authenticate
from webapp.core.errors import CodedError
from webapp.core.http.middleware import Middleware
from webapp.core.http.network import KNOWN_CALLER
from webapp.core.http.problem_details import error_response, wants_json


class DemoAccountsStayLocal(Middleware):
    """Ignores a demo account's session outside loopback."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and not may_authenticate(request.user, request):
            request.user = AnonymousUser()
        request.META[KNOWN_CALLER] = request.user.is_authenticated
        return self.get_response(request)


class SignInRequired(LoginRequiredMiddleware):
    """Every view asks for a sign-in unless it is exempt; programs get 401 in place of a redirect."""

    def handle_no_permission(self, request: HttpRequest, view_func) -> HttpResponse:
        if wants_json(request):
            return error_response(request, CodedError("unauthenticated"))
        return super().handle_no_permission(request, view_func)


class ReadersTimezone(Middleware):
    """Times are shown in the reader's zone, else in the active site's."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(self._zone(request)):
            return self.get_response(request)

    def _zone(self, request: HttpRequest) -> zoneinfo.ZoneInfo | None:
        if not request.user.is_authenticated:
            return None
        membership = active_membership(request)
        name = request.user.timezone or (membership.site.timezone if membership else "UTC")
        return zoneinfo.ZoneInfo(name)
