from __future__ import annotations

from django.contrib import admin

from webapp.audit.models import AuditEvent
from webapp.core.readonly_admin import ReadOnlyAdmin


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "action", "actor", "site", "subject"]
    list_filter = ["action", "site"]
    date_hierarchy = "created_at"
