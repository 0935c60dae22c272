"""Health and the error pages."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from webapp.core.errors import CodedError
from webapp.core.http.problem_details import error_response


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 when the process reaches its database, else 503; nothing more."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return JsonResponse({"status": "unavailable"}, status=503)
    return JsonResponse({"status": "ok"})


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_response(request, CodedError("invalid", remedy="Go back and try again."))


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_response(request, CodedError("forbidden"))


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_response(request, CodedError("not_found"))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return error_response(request, CodedError("csrf"))


def server_error(request: HttpRequest) -> HttpResponse:
    return error_response(request, CodedError("internal"), alone=True)
