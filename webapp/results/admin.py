from __future__ import annotations

from django.contrib import admin

from webapp.core.readonly_admin import ReadOnlyAdmin
from webapp.results.models import Destination, ResultDelivery, ResultObject


@admin.register(Destination)
class DestinationAdmin(ReadOnlyAdmin):
    list_display = ["id", "created_at", "site", "name", "kind", "active", "failures", "paused_until"]
    list_filter = ["kind", "active", "site"]
    list_select_related = ["site"]


@admin.register(ResultDelivery)
class ResultDeliveryAdmin(ReadOnlyAdmin):
    list_display = ["id", "created_at", "destination", "cause", "status", "attempts", "error_code", "next_at"]
    list_filter = ["status", "cause"]
    list_select_related = ["destination"]


@admin.register(ResultObject)
class ResultObjectAdmin(ReadOnlyAdmin):
    list_display = ["id", "made_at", "site", "kind", "number", "size"]
    list_filter = ["kind", "site"]
    list_select_related = ["site"]
