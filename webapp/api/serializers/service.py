"""The caller, the sites, the audit log and the change feed."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field

from webapp.accounts.models import Membership
from webapp.accounts.permissions import Permission
from webapp.api import fields as f


class AuditEventSerializer(f.Serializer):
    id = f.IdField()
    actor = f.CharField(source="actor.username", allow_null=True, help_text="user name; null: the system")
    actor_id = f.UUIDField(allow_null=True, help_text="user ID, for the parameter `actor`; null: the system")
    site = f.UUIDOrNullField("site_id", "ID of the site; null if none in particular")
    action = f.CharField(help_text="what was done, such as `scan.moved`")
    subject = f.CharField(help_text="the record, as app.model:uuid; may be empty")
    patient = f.UUIDField(allow_null=True, help_text="patient whose data it was about; null if none")
    channel = f.CharField(help_text="page, api, admin, command or system")
    address = f.CharField(help_text="network address of the user; empty if there was none")
    detail = f.DictField(help_text="codes and IDs; no patient data, no free text")
    request_id = f.CharField(help_text="the request's X-Request-ID; empty if there was none")
    created_at = f.CreatedAtField(help_text="when it was done")


class SiteSerializer(f.Serializer):
    id = f.IdField()
    name = f.CharField(help_text="name of the hospital or department")
    slug = f.CharField(help_text="short name, for commands and metrics")
    timezone = f.CharField(help_text="IANA name, such as Europe/Berlin")
    deidentify_on_ingest = f.BooleanField(help_text="whether files are kept de-identified, under pseudonyms")


class MeSerializer(f.Serializer):
    """The caller: a membership with its `token`."""

    user = f.CharField(source="user.username", help_text="user name")
    name = f.CharField(source="user.get_full_name", help_text="full name; may be empty")
    site = SiteSerializer(help_text="the site of the token")
    role = f.CharField(source="role.name", help_text="role of the user at the site")
    permissions = f.SerializerMethodField(help_text="scopes of the token that the role grants too")
    token = f.CharField(source="token.name", help_text="name of the token")
    scopes = f.ListField(source="token.scopes", child=f.CharField(), help_text="scopes of the token")
    expires_at = f.DateTimeField(
        source="token.expires_at", allow_null=True, help_text="when the token expires; null if never"
    )

    @extend_schema_field(f.ListField(child=f.ChoiceField([p.value for p in Permission])))
    def get_permissions(self, membership: Membership) -> Any:
        return sorted(set(membership.role.permissions) & set(membership.token.scopes))


class ChangeSerializer(f.Serializer):
    """Something that happened at the site; the same as a webhook sends."""

    sequence = f.IntegerField(source="number", help_text="number of the event, increasing; for `after`")
    type = f.CharField(source="kind", help_text="kind of event, such as `analysis.done`")
    id = f.UUIDField(source="subject", help_text="ID of the scan, upload or patient")
    data = f.DictField(help_text="codes and further IDs; no patient data")
    timestamp = f.DateTimeField(source="created_at", help_text="when it happened")
