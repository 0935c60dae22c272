from __future__ import annotations

from django.contrib import admin

from webapp.core.readonly_admin import ReadOnlyAdmin
from webapp.labels.models import Reading


@admin.register(Reading)
class ReadingAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "site", "signed_as", "study", "sha256"]
    list_filter = ["site"]
    list_select_related = ["site", "study"]
    date_hierarchy = "created_at"
