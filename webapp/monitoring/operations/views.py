"""`/readyz`: whether this web server should get requests now."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from webapp.monitoring.operations import parts


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 with database and store, else 503. A broker that is away is only named: nothing is lost with it."""
    found = {"database": parts.database_is_up(), "store": parts.store_is_there()}
    ready = all(found.values())
    states = {name: "ok" if up else "unavailable" for name, up in found.items()}
    states["broker"] = "ok" if parts.broker_is_up() else "unavailable"
    return JsonResponse({"status": "ok" if ready else "unavailable", **states}, status=200 if ready else 503)
