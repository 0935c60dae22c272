from __future__ import annotations

from django.contrib import admin

from webapp.dicom.models import Sender


@admin.register(Sender)
class SenderAdmin(admin.ModelAdmin):
    list_display = ["calling_title", "called_title", "site", "networks", "user", "active", "description"]
    list_filter = ["active", "site"]
    list_select_related = ["site", "user"]
