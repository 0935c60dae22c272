"""Where a request comes from, believing only as many proxies as the settings name."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest

# Key of the WSGI environment by which the server learns whether the caller has identified itself.
KNOWN_CALLER = "hilum.known_caller"
FORWARDING_HEADERS = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
)


def client_ip(request: HttpRequest) -> str | None:
    """The caller's address: the nth X-Forwarded-For entry from the right behind n trusted proxies."""
    proxies = settings.HILUM_TRUSTED_PROXIES
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    if proxies and hops:
        return _address(hops[-min(proxies, len(hops))])
    return _address(request.META.get("REMOTE_ADDR"))


def is_loopback(request: HttpRequest) -> bool:
    """True when the caller sits on this machine and nothing forwarded the request."""
    address = _address(request.META.get("REMOTE_ADDR"))
    if address is None or any(header in request.META for header in FORWARDING_HEADERS):
        return False
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def _address(text: str | None) -> str | None:
    try:
        return str(ipaddress.ip_address(text or ""))
    except ValueError:
        return None
