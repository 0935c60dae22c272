from __future__ import annotations

from django.contrib import admin

from webapp.core.readonly_admin import ReadOnlyAdmin
from webapp.labels.models import LabelQueue, Manifest, Reading, ReportTemplate


@admin.register(Reading)
class ReadingAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "site", "signed_as", "study", "sha256"]
    list_filter = ["site"]
    list_select_related = ["site", "study"]
    date_hierarchy = "created_at"


@admin.register(LabelQueue)
class LabelQueueAdmin(ReadOnlyAdmin):
    """Labels are not registered: whoever still has to label blind would find them here."""

    list_display = ["created_at", "site", "name", "order", "readers", "created_by", "closed_at"]
    list_filter = ["site", "order"]
    list_select_related = ["site", "created_by"]


@admin.register(Manifest)
class ManifestAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "site", "name", "by", "sha256"]
    list_filter = ["site"]
    list_select_related = ["site", "by"]


@admin.register(ReportTemplate)
class ReportTemplateAdmin(admin.ModelAdmin):
    list_display = ["name", "site", "findings"]
    list_filter = ["site"]
    list_select_related = ["site"]
