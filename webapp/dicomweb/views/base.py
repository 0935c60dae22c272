"""What every DICOMweb address does: token, permission, media types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import MediaType
from django.urls import reverse
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from webapp.accounts.authentication import TokenAuthentication
from webapp.accounts.models import Site
from webapp.accounts.permissions import Permission
from webapp.accounts.services import active_membership, can
from webapp.core.errors import CodedError
from webapp.dicomweb.dicom_json import MEDIA_TYPE


class AnyMediaType(BaseContentNegotiation):
    """The views choose the media type: DICOMweb's depend on what is stored."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class DicomWebView(APIView):
    """`site` is the caller's. Reading: `scan.view`, by token or session. Storing: `scan.upload`, by token."""

    schema = None  # DICOMweb is described by its own standard, not by the OpenAPI schema
    content_negotiation_class = AnyMediaType
    http_method_names = ["get", "head", "options"]
    site: Site

    def get_authenticators(self) -> list[BaseAuthentication]:
        reading = self.request is not None and self.request.method in ("GET", "HEAD", "OPTIONS")
        return [TokenAuthentication(), SessionAuthentication()] if reading else [TokenAuthentication()]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        membership = active_membership(request)
        if membership is None:
            raise CodedError("no_site")
        self.site = membership.site
        permission = Permission.SCAN_UPLOAD if request.method == "POST" else Permission.SCAN_VIEW
        if not can(request.user, permission, self.site):
            scopes = getattr(request.auth, "scopes", None)
            if scopes is not None and permission not in scopes:
                raise CodedError("insufficient_scope", members={"permission": permission.value})
            raise CodedError("forbidden", members={"permission": permission.value})


def json_response(content: Any, status: int = 200, *, warnings: Iterable[str] = ()) -> HttpResponse:
    response = JsonResponse(content, safe=False, status=status, content_type=MEDIA_TYPE)
    if text := ", ".join(f'299 hilum "{warning}"' for warning in warnings):
        response["Warning"] = text
    return response


def accepted(request: Request) -> list[MediaType]:
    """The media types of the Accept header (or parameter), the preferred first."""
    header = request.query_params.get("accept") or request.headers.get("Accept") or "*/*"
    types = [MediaType(part) for part in header.split(",") if part.strip()]
    return sorted(types, key=lambda one: -_quality(one))


def url_of(request: HttpRequest | Request, name: str, *keys: object) -> str:
    return request.build_absolute_uri(reverse(f"dicomweb:{name}", args=[str(key) for key in keys]))


def _quality(type_: MediaType) -> float:
    try:
        return float(type_.params.get("q", 1))
    except ValueError:
        return 0.0
