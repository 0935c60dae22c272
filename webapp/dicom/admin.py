from __future__ import annotations

from django.contrib import admin

from webapp.core.readonly_admin import ReadOnlyAdmin
from webapp.dicom.models import Commitment, Peer, PriorFetch, Sender


@admin.register(Sender)
class SenderAdmin(admin.ModelAdmin):
    list_display = ["calling_title", "called_title", "site", "networks", "user", "active", "description"]
    list_filter = ["active", "site"]
    list_select_related = ["site", "user"]


@admin.register(Peer)
class PeerAdmin(admin.ModelAdmin):
    list_display = ["name", "site", "title", "host", "port", "url", "retrieve", "automatic", "active"]
    list_filter = ["active", "site", "retrieve"]
    list_select_related = ["site"]


@admin.register(Commitment)
class CommitmentAdmin(ReadOnlyAdmin):
    list_display = ["id", "created_at", "sender", "status", "asked_again", "failed_objects", "error_code"]
    list_filter = ["status"]
    list_select_related = ["sender"]


@admin.register(PriorFetch)
class PriorFetchAdmin(ReadOnlyAdmin):
    list_display = ["id", "created_at", "peer", "status", "studies", "retrieved", "refused", "error_code"]
    list_filter = ["status", "peer"]
    list_select_related = ["peer"]
