"""What every endpoint of the API does: token, permission, rate, strict names, ETag, conditional requests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import parse_etags
from rest_framework.exceptions import ParseError
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.authentication import TokenAuthentication
from webapp.accounts.models import Site
from webapp.accounts.services import for_sites, signed_in
from webapp.api.access import site_granting, with_remedy
from webapp.api.filters import Filters
from webapp.api.pagination import Envelope, KeysetPagination
from webapp.api.request_bodies import bounded, check_repeated
from webapp.api.serializers.base import NoBody, unknown_names
from webapp.api.throttling import TokenRate, rate_headers
from webapp.audit.access import record_search
from webapp.core.errors import CodedError

SAFE = ("GET", "HEAD")


class BoundedJSONParser(JSONParser):
    """JSON; a body nested too deeply for the parser is the client's error."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON is nested too deeply") from error


class Resource(GenericAPIView):
    """`needs` names the permission of each method; both the role and the token's scopes have to grant it.

    `params` are the query parameters of `query_method`. `site` is the token's, once `initial` has passed.
    Bearer tokens only: the session's CSRF check would read a body before the permission is checked.
    """

    http_method_names = ["get", "head", "post", "patch", "delete"]
    authentication_classes = [TokenAuthentication]
    throttle_classes = [TokenRate]
    parser_classes = [BoundedJSONParser]
    filter_backends: ClassVar[list] = []
    pagination_class = None
    needs: ClassVar[dict[str, str | None]] = {}
    params: ClassVar[tuple[str, ...]] = ()
    query_method = "GET"
    site: Site

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = "GET" if request.method == "HEAD" else request.method
        if method in self.needs:
            self.site = site_granting(request, self.needs[method])
            self._check_query(request, set(self.query_names()) if method == self.query_method else set())
            if method != "GET" and self._body() is NoBody:
                self.read()

    def query_names(self) -> Iterable[str]:
        return self.params

    def read(self, *, several: str = "") -> dict[str, Any]:
        """The body, validated by the serializer that the operation declares.

        `several` names the field that a form may repeat, for several files. Raises ValidationError, which
        leaves as `invalid` with the fields, and what `bounded` raises.
        """
        if MultiPartParser in self.parser_classes and self._body() is not NoBody:
            with bounded(self.request, several=bool(several)):
                data = self.request.data
            check_repeated(data, several)
        else:
            data = self.request.data
        form = self._body()(data=data)
        form.is_valid(raise_exception=True)
        return form.validated_data

    def record_search(self, *terms: str) -> None:
        """Record a search for patients, its words hashed."""
        match = self.request.resolver_match
        where = match.view_name if match else ""
        record_search(user=signed_in(self.request.user), site=self.site, where=where, terms=terms)

    def expect(self, represent: Callable[[], Any]) -> None:
        """If-Match on what is about to be changed; raises CodedError `precondition_failed` (412).

        `represent` gives what GET would return now.
        """
        wanted = self.request.headers.get("If-Match")
        if wanted is None or wanted.strip() == "*":
            return
        if etag_of(JSONRenderer().render(represent())) not in parse_etags(wanted):
            raise CodedError("precondition_failed")

    def handle_exception(self, exc: Exception) -> HttpResponse:
        return super().handle_exception(with_remedy(exc) if isinstance(exc, CodedError) else exc)

    def finalize_response(self, request: Request, response: HttpResponse, *args: Any, **kwargs: Any):
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in rate_headers(request).items():
            response[name] = value
        if request.method in SAFE and response.status_code == 200 and isinstance(response, Response):
            patch_cache_control(response, private=True, no_cache=True)
            response.add_post_render_callback(lambda rendered: _conditional(request, rendered))
        return response

    def _body(self) -> type:
        return getattr(getattr(self, self.request.method.lower(), None), "body", NoBody)

    def _check_query(self, request: Request, known: set[str]) -> None:
        given = request.query_params
        wrong = unknown_names(given, known)
        wrong |= {name: ["Give it once."] for name in given if len(given.getlist(name)) > 1}
        wrong |= {name: ["Give a value, or leave it out."] for name in given if not given[name]}
        wrong |= {name: ["Null characters are not allowed."] for name in given if "\x00" in given[name]}
        if wrong:
            raise CodedError("invalid", fields=wrong)


class DetailResource(Resource):
    """One record: `find` gets it by user and key, or raises CodedError `not_found`.

    A subclass has its docstring for the operation, and `name` for the operation's ID.
    """

    name = ""
    find: ClassVar[Callable[..., Any]]

    def found(self) -> Any:
        return type(self).find(self.request.user, *self.kwargs.values())

    def represent(self, record: Any) -> Any:
        return self.serializer_class(record).data

    def get(self, request: Request, **keys: Any) -> Response:
        return Response(self.represent(self.found()))


class PaginatedResource(Resource):
    """A list or a search, newest first, filtered by django-filter and paginated by a cursor.

    What the caller may see comes from `find`, or else is `queryset` at the sites that grant the permission.
    """

    filter_backends: ClassVar[list] = [Filters]
    pagination_class = KeysetPagination
    filterset_class: ClassVar[type | None] = None
    find: ClassVar[Callable[..., Any] | None] = None
    order = ("created_at", "pk")

    def query_names(self) -> Iterable[str]:
        named = self.filterset_class.base_filters if self.filterset_class else {}
        return {*self.params, *named, "limit", "cursor"}

    def rows(self) -> Any:
        find, user = type(self).find, self.request.user
        return find(user) if find else for_sites(self.queryset.all(), user, self.needs[self.query_method])

    def decorate(self, rows: Any) -> Any:
        """The rows with what a page of them shows; what is joined here is not counted."""
        return rows

    def represent(self, rows: list[Any]) -> Any:
        return self.serializer_class(rows, many=True).data

    def listed(self, rows: Any = None) -> Response:
        rows = self.rows() if rows is None else rows
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(self.represent(page))


class ListResource(PaginatedResource):
    """A list by GET; docstring and `name` as in `DetailResource`."""

    name = ""

    def get(self, request: Request, **keys: Any) -> Response:
        return self.listed()


class SinglePage(PaginatedResource):
    """A list that is short: everything on one page, in the same envelope."""

    filter_backends: ClassVar[list] = []
    pagination_class = Envelope

    def query_names(self) -> Iterable[str]:
        return self.params


def file_renderer(type_: str) -> type[BaseRenderer]:
    """So that a caller may ask for this media type; the view returns the bytes itself."""

    class FileRenderer(BaseRenderer):
        media_type, format, charset, render_style = type_, type_.rpartition("/")[2], None, "binary"

        def render(self, data: Any, *args: Any, **kwargs: Any) -> Any:
            return data

    return FileRenderer


def etag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _conditional(request: Request, response: Response) -> HttpResponse | None:
    response["ETag"] = etag_of(response.content)
    conditional = get_conditional_response(request, etag=response["ETag"], response=response)
    if conditional is response:
        return None
    for name, value in response.items():
        if name.startswith(("RateLimit", "Cache-Control")):
            conditional[name] = value
    return conditional
