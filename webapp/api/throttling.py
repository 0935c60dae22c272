"""A rate limit per token and minute, stated in headers."""

from __future__ import annotations

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from webapp.core.rate import count_request


class TokenRate(BaseThrottle):
    """A fixed window of a minute with `HILUM_API_RATE` requests; 0 for no limit.

    Counted in the cache: in Redis for all processes together, without it for each process alone.
    """

    left = 0.0

    def allow_request(self, request: Request, view: object) -> bool:
        most = settings.HILUM_API_RATE
        if not most or request.auth is None:
            return True
        use = count_request(f"api-rate:{request.auth.pk}")
        self.left = use.left
        request.api_rate = (most, max(0, most - use.count), int(self.left) + 1)
        return use.count <= most

    def wait(self) -> float:
        return self.left


def rate_headers(request: Request) -> dict[str, str]:
    """RateLimit-Limit, -Remaining and -Reset (seconds), once the caller is known."""
    names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
    return dict(zip(names, map(str, getattr(request, "api_rate", ())), strict=False))
