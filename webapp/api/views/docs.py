"""The API's description: for machines, and as a page that needs nothing from elsewhere."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiResponse, extend_schema
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.authentication import TokenAuthentication
from webapp.api.api_docs import reference
from webapp.api.resource import Resource
from webapp.core.errors import CodedError
from webapp.core.storage import phantom_collection


class Schema(SpectacularJSONAPIView):
    """To a token, and to a person who is signed in and reads the page."""

    authentication_classes = [TokenAuthentication, SessionAuthentication]
    http_method_names = ["get", "head"]

    def _get_schema_response(self, request: Request) -> Response:
        return Response(_described())


@cache
def _described() -> dict[str, Any]:
    """Made once a process: it is the same for everybody, and takes a second or more."""
    return Schema.generator_class().get_schema(request=None, public=True)


@login_not_required  # it sends people to the sign-in page, where programs get 401 in this part of the site
def page(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return redirect_to_login(request.path)
    return _shown(request)


@require_safe
def _shown(request: HttpRequest) -> HttpResponse:
    return render(request, "api/docs.html", {"reference": _drawn(get_language())})


@cache
def _drawn(language: str | None) -> SafeString:
    """Drawn once a process and language, like the description that it shows."""
    return render_to_string("api/_reference.html", {"reference": reference(_described())})


class Phantoms(Resource):
    needs = {"GET": "scan.upload"}

    @extend_schema(
        operation_id="phantoms_collection",
        responses={(200, "application/zip"): OpenApiResponse(bytes, description="images and manifest.csv")},
    )
    def get(self, request: Request) -> HttpResponse | Response:
        """Simulated patients to try Hilum with, as a ZIP that can be handed in as it is."""
        try:
            file = phantom_collection().open("rb")
        except FileNotFoundError as error:
            raise CodedError("not_found") from error
        return FileResponse(
            file, as_attachment=True, filename="hilum-phantoms.zip", content_type="application/zip"
        )
