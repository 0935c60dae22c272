"""The caller, the sites, the audit log and the change feed."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework.serializers import (
    BooleanField,
    CharField,
    ChoiceField,
    DateTimeField,
    DictField,
    IntegerField,
    ListField,
    Serializer,
    SerializerMethodField,
)

from webapp.accounts.models import Membership
from webapp.accounts.permissions import Permission
from webapp.api.fields import CreatedAtField, IdField, UUIDField


class AuditEventSerializer(Serializer):
    id = IdField()
    actor = CharField(source="actor.username", allow_null=True, help_text="user name; null: the system")
    actor_id = UUIDField(
        allow_null=True, help_text="ID of the user, for the parameter `actor`; null: the system"
    )
    site = UUIDField(
        source="site_id", allow_null=True, help_text="ID of the site; null if none in particular"
    )
    action = CharField(help_text="what was done, such as `scan.moved`")
    subject = CharField(help_text="the record, as app.model:uuid; may be empty")
    detail = DictField(help_text="codes and IDs; no patient data, no free text")
    request_id = CharField(help_text="the request's X-Request-ID; empty if there was none")
    created_at = CreatedAtField(help_text="when it was done")


class SiteSerializer(Serializer):
    id = IdField()
    name = CharField(help_text="name of the hospital or department")
    slug = CharField(help_text="short name, for commands and metrics")
    timezone = CharField(help_text="IANA name, such as Europe/Berlin")
    deidentify_on_ingest = BooleanField(help_text="whether files are kept de-identified, under pseudonyms")


class MeSerializer(Serializer):
    """The caller: a membership, with the token in `context["token"]`."""

    user = CharField(source="user.username", help_text="user name")
    name = CharField(source="user.get_full_name", help_text="full name; may be empty")
    site = SiteSerializer(help_text="the site of the token")
    role = CharField(source="role.name", help_text="role of the user at the site")
    permissions = SerializerMethodField(help_text="scopes of the token that the role grants too")
    token = SerializerMethodField(help_text="name of the token")
    scopes = SerializerMethodField(help_text="scopes of the token")
    expires_at = SerializerMethodField(help_text="when the token expires; null if never")

    @extend_schema_field(ListField(child=ChoiceField([p.value for p in Permission])))
    def get_permissions(self, membership: Membership) -> Any:
        return sorted(set(membership.role.permissions) & set(self.context["token"].scopes))

    def get_token(self, membership: Membership) -> str:
        return self.context["token"].name

    def get_scopes(self, membership: Membership) -> list[str]:
        return self.context["token"].scopes

    @extend_schema_field(DateTimeField(allow_null=True))
    def get_expires_at(self, membership: Membership) -> Any:
        return self.context["token"].expires_at


class ChangeSerializer(Serializer):
    """Something that happened at the site; the same as a webhook sends."""

    sequence = IntegerField(source="number", help_text="number of the event, increasing; for `after`")
    type = CharField(source="kind", help_text="kind of event, such as `analysis.done`")
    id = UUIDField(source="subject", help_text="ID of the scan, upload or patient")
    data = DictField(help_text="codes and further IDs; no patient data")
    timestamp = DateTimeField(source="created_at", help_text="when it happened")
