from __future__ import annotations

from django.contrib import admin

from webapp.core.readonly_admin import ReadOnlyAdmin
from webapp.webhooks.models import Delivery, Subscription


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    list_display = ["id", "created_at", "site", "active", "ended", "failures", "paused_until"]
    list_filter = ["active", "site"]
    list_select_related = ["site"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ["id", "created_at", "subscription", "status", "attempts", "error_code", "next_at"]
    list_filter = ["status"]
    list_select_related = ["subscription"]
