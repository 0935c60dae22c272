"""The caller, the sites, the audit log, simulated patients, and addresses without their slash."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpResponse
from django.urls import is_valid_path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from webapp.accounts.models import Site
from webapp.accounts.services import active_membership
from webapp.api.filters import AuditFilter
from webapp.api.pagination import LIMIT_SCHEMA, limit_of
from webapp.api.resource import ListResource, Resource, SinglePage
from webapp.api.schema import file_response, operation
from webapp.api.serializers.service import (
    AuditEventSerializer,
    ChangeSerializer,
    MeSerializer,
    SiteSerializer,
)
from webapp.audit.models import AuditEvent
from webapp.audit.selectors import events_visible
from webapp.core.errors import CodedError
from webapp.core.storage import phantom_collection
from webapp.webhooks.selectors import events_after

AFTER = OpenApiParameter(
    "after",
    {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999_999, "default": 0},
    description="`sequence` of the last event that was seen",
)
LIMIT = OpenApiParameter("limit", LIMIT_SCHEMA, description="maximum rows per page")


class Me(Resource):
    needs = {"GET": None}

    @operation("me", returns=MeSerializer)
    def get(self, request: Request) -> Response:
        """Get the caller: user, site, role and permissions of the token."""
        membership = active_membership(request)
        membership.token = request.auth
        return Response(MeSerializer(membership).data)


class SiteCollection(SinglePage):
    needs = {"GET": None}
    queryset = Site.objects.none()
    serializer_class = SiteSerializer

    @operation("sites_list", returns=SiteSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List the sites of the token: a token belongs to one."""
        return self.listed([self.site])


class AuditCollection(ListResource):
    """List the audit log, newest first: events of the site and those that concern every site."""

    name = "audit_events_list"
    needs = {"GET": "audit.view"}
    queryset = AuditEvent.objects.none()
    filterset_class = AuditFilter
    serializer_class = AuditEventSerializer
    find = events_visible


class ChangeCollection(SinglePage):
    needs = {"GET": "scan.view"}
    params = ("after", "limit")
    serializer_class = ChangeSerializer

    @operation("changes_list", parameters=[AFTER, LIMIT], returns=ChangeSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List the changes to scans, uploads and patients after an event, oldest first.

        Call it again with `after` set to the last `sequence`. The events are those of webhooks; they appear
        after a few seconds and are kept for 30 days.
        """
        after, limit = request.query_params.get("after", "0"), limit_of(request.query_params)
        if not (after.isascii() and after.isdecimal() and len(after) < 19):
            raise CodedError("invalid", fields={"after": ["Must be the sequence number of an event."]})
        events = list(events_after(self.site, int(after))[: limit + 1])
        response = self.listed(events[:limit])
        if len(events) > limit:
            here = request.build_absolute_uri()
            response.data["next"] = replace_query_param(here, "after", events[limit - 1].number)
        response.data["count"] = None
        return response


class Phantoms(Resource):
    needs = {"GET": "scan.upload"}

    @operation("phantoms_collection", returns=file_response("application/zip", "images and manifest.csv"))
    def get(self, request: Request) -> HttpResponse | Response:
        """Download simulated patients as a ZIP that can be uploaded as it is."""
        try:
            file = phantom_collection().open("rb")
        except FileNotFoundError as error:
            raise CodedError("not_found") from error
        return FileResponse(
            file, as_attachment=True, filename="hilum-phantoms.zip", content_type="application/zip"
        )


@extend_schema(exclude=True)
class MissingSlash(Resource):
    """A redirect would turn a POST into a GET: the right address is stated instead."""

    needs = dict.fromkeys(("GET", "POST", "PATCH", "DELETE"))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super(Resource, self).initial(request, *args, **kwargs)
        address = f"{request.path}/"
        if is_valid_path(address):
            raise CodedError("not_found", "The address lacks its final slash.", f"Use {address}")
        raise CodedError("not_found")

    def get(self, request: Request, **kwargs: Any) -> Response:
        raise CodedError("not_found")

    post = patch = delete = get
