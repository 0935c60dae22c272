"""What every address of the API does: token, permission, rate, query names, ETag, conditional requests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import parse_etags
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.authentication import TokenAuthentication
from webapp.accounts.models import Site
from webapp.api.access import site_granting
from webapp.api.filters import Filters
from webapp.api.pagination import NewestFirst
from webapp.api.throttling import TokenRate, rate_headers
from webapp.core.errors import CodedError

SAFE = ("GET", "HEAD")


class Resource(GenericAPIView):
    """`needs` names the permission of each method; both the role and the token's scopes have to grant it.

    `params` are the query names that the address knows: one that it does not know is a mistake, never
    ignored. `site` is the token's, once `initial` has passed. Bearer tokens only: the session's CSRF check
    would read a body before permission is checked.
    """

    http_method_names = ["get", "head", "post", "patch", "delete"]
    authentication_classes = [TokenAuthentication]
    throttle_classes = [TokenRate]
    parser_classes = [JSONParser]
    filter_backends: ClassVar[list] = []
    pagination_class = None
    needs: ClassVar[dict[str, str | None]] = {}
    params: ClassVar[tuple[str, ...]] = ()
    site: Site

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = "GET" if request.method == "HEAD" else request.method
        if method in self.needs:
            self.site = site_granting(request, self.needs[method])
            self._check_query(request, method)

    def query_names(self) -> Iterable[str]:
        return self.params

    def read(self, request: Request, serializer: type) -> dict[str, Any]:
        """The body by this serializer; raises ValidationError, which leaves as `invalid` with the fields."""
        form = serializer(data=request.data)
        form.is_valid(raise_exception=True)
        return form.validated_data

    def expect(self, request: Request, answer: Callable[[], Any]) -> None:
        """If-Match on what is about to be changed; raises CodedError `precondition_failed` (412).

        `answer` gives what GET would answer now.
        """
        wanted = request.headers.get("If-Match")
        if wanted is None or wanted.strip() == "*":
            return
        if etag_of(JSONRenderer().render(answer())) not in parse_etags(wanted):
            raise CodedError("precondition_failed")

    def finalize_response(self, request: Request, response: HttpResponse, *args: Any, **kwargs: Any):
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in rate_headers(request).items():
            response[name] = value
        if request.method in SAFE and response.status_code == 200 and isinstance(response, Response):
            patch_cache_control(response, private=True, no_cache=True)
            response.add_post_render_callback(lambda rendered: _conditional(request, rendered))
        return response

    def _check_query(self, request: Request, method: str) -> None:
        known = set(self.query_names()) if method == "GET" else set()
        if unknown := sorted(set(request.query_params) - known):
            told = {name[:60]: ["This address knows no such parameter."] for name in unknown[:20]}
            raise CodedError("invalid", fields=told)
        repeated = [name for name in request.query_params if len(request.query_params.getlist(name)) > 1]
        if repeated:
            raise CodedError("invalid", fields={name: ["Send it once."] for name in repeated})
        if empty := [name for name in request.query_params if not request.query_params[name]]:
            raise CodedError("invalid", fields={name: ["Give a value, or leave it out."] for name in empty})
        if null := [name for name, value in request.query_params.items() if "\x00" in value]:
            raise CodedError("invalid", fields={name: ["Null characters are not allowed."] for name in null})


class Listing(Resource):
    """A list, newest first, filtered by django-filter and cut by a cursor; `rows` and `answer` make it."""

    filter_backends: ClassVar[list] = [Filters]
    pagination_class = NewestFirst
    filterset_class: ClassVar[type | None] = None

    def query_names(self) -> Iterable[str]:
        named = self.filterset_class.base_filters if self.filterset_class else {}
        return {*self.params, *named, "limit", "cursor"}

    def rows(self) -> Any:
        """The queryset of all that the caller may see here."""
        raise NotImplementedError

    def answer(self, rows: list[Any]) -> list[dict[str, Any]]:
        """The rows of one page as the API tells them."""
        raise NotImplementedError

    def listed(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(self.answer(page))


def etag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _conditional(request: Request, response: Response) -> HttpResponse | None:
    response["ETag"] = etag_of(response.content)
    answer = get_conditional_response(request._request, etag=response["ETag"], response=response)
    if answer is response:
        return None
    for name, value in response.items():
        if name.startswith(("RateLimit", "Cache-Control")):
            answer[name] = value
    return answer
