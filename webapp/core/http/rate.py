"""A rate limit for people who are signed in; tokens have their own in the API."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from webapp.core.errors import CodedError
from webapp.core.http.middleware import Middleware
from webapp.core.http.problem_details import error_response
from webapp.core.rate import count_request


class SessionRate(Middleware):
    """Refuses a user's requests beyond `HILUM_PAGE_RATE` a minute; 0 for no limit."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        most = settings.HILUM_PAGE_RATE
        if most and request.user.is_authenticated:
            use = count_request(f"page-rate:{request.user.pk}")
            if use.count > most:
                return error_response(request, CodedError("rate_limited", retry_after=int(use.left) + 1))
        return self.get_response(request)
