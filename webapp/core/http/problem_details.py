"""Errors on the wire: a designed page for people, RFC 9457 problem details for programs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.template.loader import render_to_string
from rest_framework import exceptions as drf
from rest_framework.views import exception_handler as drf_handler
from rest_framework.views import set_rollback

from webapp.core.errors import CodedError
from webapp.core.logs import request_id

JSON_TYPES = ("application/json", "application/problem+json")
JSON_PREFIXES = ("/api/", "/dicomweb/", "/fhir/")

_DRF_CODES: dict[type[Exception], str] = {
    drf.NotAuthenticated: "unauthenticated",
    drf.AuthenticationFailed: "unauthenticated",
    drf.PermissionDenied: "forbidden",
    drf.NotFound: "not_found",
    drf.MethodNotAllowed: "method_not_allowed",
    drf.NotAcceptable: "not_acceptable",
    drf.UnsupportedMediaType: "unsupported_media_type",
    drf.Throttled: "rate_limited",
}


def wants_json(request: HttpRequest) -> bool:
    """True for callers that are programs: the API's paths, JSON or raw bodies, an Accept for JSON."""
    if request.path.startswith(JSON_PREFIXES) or request.content_type in (
        *JSON_TYPES,
        "application/octet-stream",
    ):
        return True
    return request.get_preferred_type(["text/html", *JSON_TYPES]) in JSON_TYPES


def problem(error: CodedError) -> dict[str, Any]:
    """RFC 9457 members plus `code`, `remedy`, `request_id`, where fields are wrong `errors`, and its own."""
    body = {
        "type": f"urn:hilum:error:{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "remedy": error.remedy,
        "request_id": request_id.get(),
    }
    return body | ({"errors": error.fields} if error.fields else {}) | error.members


def error_response(request: HttpRequest, error: CodedError, *, alone: bool = False) -> HttpResponse:
    """The same error in the caller's language: problem+json, or a page.

    `alone` renders without the context processors, for when the database may be what failed.
    """
    if wants_json(request):
        response = JsonResponse(problem(error), status=error.status, content_type=JSON_TYPES[1])
        if error.status == HTTPStatus.UNAUTHORIZED:
            response["WWW-Authenticate"] = "Bearer"
        return with_code(response, error)
    context = {"error": error, "request_id": request_id.get()}
    page = render_to_string("core/error.html", context, request=None if alone else request)
    return with_code(HttpResponse(page, status=error.status), error)


def with_code(response: HttpResponse, error: CodedError) -> HttpResponse:
    """The response, with `error_code` for the middleware that it passes, and when to come back."""
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    response.error_code = error.code  # type: ignore[attr-defined]
    return response


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Django REST framework's handler: every refusal leaves as a problem with a stable code."""
    error = coded(exc)
    if error is None:
        return drf_handler(exc, context)
    set_rollback()
    response = JsonResponse(problem(error), status=error.status, content_type=JSON_TYPES[1])
    for name, value in _headers(exc).items():
        response[name] = value
    return with_code(response, error)


def coded(exc: Exception) -> CodedError | None:
    """The coded form of an exception, None for one that nobody foresaw."""
    if isinstance(exc, CodedError):
        return exc
    if isinstance(exc, Http404):
        return CodedError("not_found")
    if isinstance(exc, UnreadablePostError):
        return CodedError("incomplete")
    if isinstance(exc, PermissionDenied):
        return CodedError("forbidden")
    if isinstance(exc, drf.ValidationError):
        return CodedError("invalid", fields=_fields(exc.detail))
    if isinstance(exc, drf.ParseError):
        return CodedError("invalid")
    code = next((code for kind, code in _DRF_CODES.items() if isinstance(exc, kind)), None)
    return CodedError(code) if code else None


def _headers(exc: Exception) -> dict[str, str]:
    headers = {}
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if scope := getattr(exc, "members", {}).get("scope"):
        headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{scope}"'
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    return headers


def _fields(detail: Any) -> dict[str, list[str]]:
    if not isinstance(detail, dict):
        return {"request": _messages(detail)}
    return {name: _messages(value) for name, value in detail.items()}


def _messages(detail: Any) -> list[str]:
    """The messages, each preceded by its place in a list or object."""
    if isinstance(detail, dict):
        return [f"{place}: {text}" for place, value in detail.items() for text in _messages(value)]
    if isinstance(detail, list):
        return [text for one in detail for text in _messages(one)]
    return [str(detail)]
