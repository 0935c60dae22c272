"""A rate limit per token and minute, stated in headers."""

from __future__ import annotations

import time

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

WINDOW = 60


class TokenRate(BaseThrottle):
    """A fixed window of a minute with `HILUM_API_RATE` requests; 0 for no limit.

    Counted in the cache: in Redis for all processes together, without it for each process alone.
    """

    left = 0.0

    def allow_request(self, request: Request, view: object) -> bool:
        most, now = settings.HILUM_API_RATE, time.time()
        if not most or request.auth is None:
            return True
        window = int(now // WINDOW)
        self.left = (window + 1) * WINDOW - now
        key = f"api-rate:{request.auth.pk}:{window}"
        cache.add(key, 0, timeout=2 * WINDOW)
        try:
            count = cache.incr(key)
        except ValueError:  # the cache has dropped it this instant
            count = 1
        request.api_rate = (most, max(0, most - count), int(self.left) + 1)
        return count <= most

    def wait(self) -> float:
        return self.left


def rate_headers(request: Request) -> dict[str, str]:
    """RateLimit-Limit, -Remaining and -Reset (seconds), once the caller is known."""
    names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
    return dict(zip(names, map(str, getattr(request, "api_rate", ())), strict=False))
