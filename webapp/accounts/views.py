"""Signing in and out, and choosing the site to work at, and preferences."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from webapp.accounts.hotkeys import pages_with_keys
from webapp.accounts.models import User
from webapp.accounts.preferences import preferences_of, set_preference
from webapp.accounts.services import membership_choose, signed_in
from webapp.core.errors import CodedError
from webapp.core.http.json_body import parse_json
from webapp.core.http.problem_details import error_response

sign_in = LoginView.as_view(template_name="accounts/sign_in.html", redirect_authenticated_user=True)


class SignOut(LogoutView):
    """Signs out, and has the browser drop what it kept of the pages: a workstation is often shared."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().dispatch(request, *args, **kwargs)
        response["Clear-Site-Data"] = '"cache", "storage"'
        return response


sign_out = SignOut.as_view()


@require_POST
def choose_site(request: HttpRequest) -> HttpResponse:
    """Make the membership at POST `site` (a slug) the active one; 404 for any other site."""
    if membership_choose(request=request, site=request.POST.get("site", "")) is None:
        raise Http404
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return redirect(target if safe else resolve_url("/"))


@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """The page of the person's keys; POST sets the one preference of a JSON body {"key", "value"}."""
    if request.method != "POST":
        return render(request, "accounts/preferences.html", {"tables": _key_tables(signed_in(request.user))})
    try:
        body = parse_json(request.body)
        key, value = str(body["key"]), body["value"]
    except (ValueError, KeyError, TypeError) as error:
        raise CodedError("invalid", remedy='Send {"key": …, "value": …}.') from error
    set_preference(user=signed_in(request.user), key=key, value=value)
    return JsonResponse(preferences_of(request.user))


def _key_tables(user: User) -> list[dict[str, Any]]:
    """For each page its actions, each with its standard key and the person's own."""
    own = preferences_of(user)["keys"]
    return [
        {
            "page": page,
            "title": keys.title,
            "actions": [
                {"standard": one.key, "text": one.text, "key": own.get(page, {}).get(one.key, one.key)}
                for one in keys.actions
            ],
        }
        for page, keys in pages_with_keys().items()
    ]


def locked_out(request: HttpRequest, credentials: dict | None = None, *args, **kwargs) -> HttpResponse:
    """The response after too many failed sign-ins (called by axes)."""
    return error_response(request, CodedError("locked_out"))
