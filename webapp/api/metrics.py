"""`/metrics` for Prometheus: closed unless a token or a network is configured for it."""

from __future__ import annotations

import ipaddress
from hmac import compare_digest

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from webapp.core.http.network import client_ip
from webapp.monitoring.metrics import exposition


@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """404 for everybody else, as for what does not exist."""
    if not (_token_is_right(request) or _network_is_named(request)):
        raise Http404
    return _exposed(request)


@require_safe
def _exposed(request: HttpRequest) -> HttpResponse:
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


def _token_is_right(request: HttpRequest) -> bool:
    wanted = settings.HILUM_METRICS_TOKEN
    given = request.headers.get("Authorization", "")
    return bool(wanted) and compare_digest(given.encode(), f"Bearer {wanted}".encode())


def _network_is_named(request: HttpRequest) -> bool:
    address = client_ip(request)
    if not address:
        return False
    parsed = ipaddress.ip_address(address)
    networks = [ipaddress.ip_network(network) for network in settings.HILUM_METRICS_NETWORKS]
    return any(parsed in network for network in networks)
