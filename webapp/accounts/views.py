"""Signing in and out, and choosing the site to work at, and preferences."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from webapp.accounts.preferences import preferences_of, set_preference
from webapp.accounts.services import membership_choose, signed_in
from webapp.core.errors import CodedError
from webapp.core.http.json_body import parse_json
from webapp.core.http.problem_details import error_response

sign_in = LoginView.as_view(template_name="accounts/sign_in.html", redirect_authenticated_user=True)
sign_out = LogoutView.as_view()


@require_POST
def choose_site(request: HttpRequest) -> HttpResponse:
    """Make the membership at POST `site` (a slug) the active one; 404 for any other site."""
    if membership_choose(request=request, site=request.POST.get("site", "")) is None:
        raise Http404
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return redirect(target if safe else resolve_url("/"))


@require_POST
def preferences(request: HttpRequest) -> JsonResponse:
    """Set the one preference of a JSON body {"key", "value"}; returns all of them."""
    try:
        body = parse_json(request.body)
        key, value = str(body["key"]), body["value"]
    except (ValueError, KeyError, TypeError) as error:
        raise CodedError("invalid", remedy='Send {"key": …, "value": …}.') from error
    set_preference(user=signed_in(request.user), key=key, value=value)
    return JsonResponse(preferences_of(request.user))


def locked_out(request: HttpRequest, credentials: dict | None = None, *args, **kwargs) -> HttpResponse:
    """The response after too many failed sign-ins (called by axes)."""
    return error_response(request, CodedError("locked_out"))
