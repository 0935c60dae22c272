"""Addresses of the tests: the site's own and some that fail in every known way."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.urls import path
from rest_framework import exceptions
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from webapp.core.errors import CodedError
from webapp.urls import handler400, handler403, handler404, handler500  # noqa: F401
from webapp.urls import urlpatterns as site

FAILURES = {
    "coded": CodedError("patient_conflict"),
    "missing": Http404("Doe, Jane"),
    "denied": PermissionDenied("Doe, Jane"),
    "broken": RuntimeError("Doe, Jane"),
    "invalid": exceptions.ValidationError({"slot": ["Not a slot."]}),
    "throttled": exceptions.Throttled(wait=3),
}


@login_not_required
def fail(request, kind):
    if kind == "fine":
        return HttpResponse(b"fine")
    raise FAILURES[kind]


class Fail(APIView):
    permission_classes = [AllowAny]

    def get(self, request, kind):
        if kind == "fine":
            return Response({})
        raise FAILURES[kind]


class Whoami(APIView):
    def get(self, request):
        return Response({"user": request.user.username})


urlpatterns = [
    path("fail/<kind>/", fail),
    path("api/fail/<kind>/", Fail.as_view()),
    path("api/whoami/", Whoami.as_view()),
    *site,
]
