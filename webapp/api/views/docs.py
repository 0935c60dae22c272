"""The OpenAPI schema, and its documentation as a page that loads nothing from elsewhere."""

from __future__ import annotations

from functools import cache
from threading import RLock
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from webapp.accounts.authentication import TokenAuthentication
from webapp.api.api_docs import api_docs

# drf-spectacular loads its extensions as it goes: two threads that do so at once break each other.
_GENERATING = RLock()


@extend_schema(exclude=True)
class Schema(APIView):
    """For a token, and for a person who is signed in and reads the page."""

    authentication_classes = [TokenAuthentication, SessionAuthentication]

    def get(self, request: Request) -> Response:
        return Response(schema() | {"servers": [{"url": request.build_absolute_uri("/").rstrip("/")}]})


def schema() -> dict[str, Any]:
    """Made once per process: it is the same for everybody, and takes a second or more."""
    with _GENERATING:
        return _schema()


@cache
def _schema() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)


@login_not_required  # it sends people to the sign-in page, where programs get 401 in this part of the site
def page(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return redirect_to_login(request.path)
    return _page(request)


@require_safe
def _page(request: HttpRequest) -> HttpResponse:
    return render(request, "api/docs.html", {"docs": _rendered(get_language())})


@cache
def _rendered(language: str | None) -> SafeString:
    """Rendered once per process and language, like the schema that it shows."""
    return render_to_string("api/_docs.html", {"docs": api_docs(schema())})
