"""What every request passes: an id for the log, headers that keep pages private, coded errors."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, UnreadablePostError
from django.middleware.csrf import CsrfViewMiddleware

from webapp.core.errors import CodedError
from webapp.core.http.current import current_request
from webapp.core.http.problem_details import JSON_PREFIXES, error_response, wants_json
from webapp.core.logs import request_id

logger = logging.getLogger("hilum.request")
Handler = Callable[[HttpRequest], HttpResponse]

ANONYMOUS_FORM_BYTES = 16 << 10
FORM_TYPES = ("multipart/form-data", "application/x-www-form-urlencoded")
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


class Middleware:
    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)


class RequestLog(Middleware):
    """Gives each request an id (X-Request-ID) and logs route, status and time: never the path."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = request_id.set(str(uuid.uuid4()))
        served = current_request.set(request)
        started = time.monotonic()
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = request_id.get()
            self._log(request, response, time.monotonic() - started)
            return response
        finally:
            current_request.reset(served)
            request_id.reset(token)

    def _log(self, request: HttpRequest, response: HttpResponse, seconds: float) -> None:
        match = request.resolver_match
        if match is None and response.status_code < 400:
            return
        logger.info(
            "request",
            extra={
                "method": request.method,
                "route": match.view_name if match else None,
                "status": response.status_code,
                "ms": round(seconds * 1000, 1),
            },
        )


class SafetyHeaders(Middleware):
    """Keeps pages out of shared and back-button caches and switches off what browsers could offer."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.setdefault("Cache-Control", "no-store, private")
        return response


class SmallForms(Middleware):
    """Refuses a large form by its declared size, once it is known who sends it and before it is read.

    Files come as raw bodies, or to the API, whose views check permission and size before they read.
    """

    def process_view(self, request: HttpRequest, *_view: object) -> HttpResponse | None:
        declared = request.META.get("CONTENT_LENGTH") or "0"
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if not request.user.is_authenticated:
            most = ANONYMOUS_FORM_BYTES
        large = not declared.isdigit() or int(declared) > most
        if large and request.content_type in FORM_TYPES and not request.path.startswith(JSON_PREFIXES):
            return error_response(request, CodedError("too_large", "The form is too large."), alone=True)
        return None


class CsrfHeaderFirst(CsrfViewMiddleware):
    """Django's check, which reads the body for the token only where the header has none."""

    def _check_token(self, request: HttpRequest) -> None:
        if settings.CSRF_HEADER_NAME not in request.META or hasattr(request, "_post"):
            super()._check_token(request)  # type: ignore[misc]
            return
        request._post = QueryDict()  # type: ignore[attr-defined]
        try:
            super()._check_token(request)  # type: ignore[misc]
        finally:
            del request._post  # type: ignore[attr-defined]


class CodedErrors(Middleware):
    """Turns a coded error into its page or its problem details."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, CodedError):
            logger.info("refused", extra={"code": exception.code})
            return error_response(request, exception)
        if isinstance(exception, UnreadablePostError):
            return error_response(request, CodedError("incomplete"))
        if isinstance(exception, Http404) and wants_json(request):
            return error_response(request, CodedError("not_found"))
        return None
