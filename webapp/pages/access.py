"""Access to pages: permissions at the active site."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from django.http import HttpRequest, HttpResponse

from webapp.accounts.models import Site
from webapp.accounts.services import active_membership, demand
from webapp.core.errors import CodedError

View = Callable[Concatenate[HttpRequest, ...], HttpResponse]


def active_site(request: HttpRequest) -> Site:
    """The site that the user has selected; raises CodedError `no_site`."""
    membership = active_membership(request)
    if membership is None:
        raise CodedError("no_site")
    return membership.site


def at_active_site(permission: str) -> Callable[[View], View]:
    """Decorator: the view runs only with the permission at the active site; else CodedError `forbidden`."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            demand(request.user, permission, active_site(request))
            return view(request, *args, **kwargs)

        return guarded

    return decorate
