"""Records what each request has read or was refused."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from webapp.audit.access import record_request
from webapp.core.http.middleware import Middleware


class RecordAccess(Middleware):
    """Behind the sign-in, around everything that reads patients' data or refuses to."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        record_request(request=request, response=response)
        return response
