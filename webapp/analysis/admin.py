from __future__ import annotations

from django.contrib import admin

from webapp.analysis.models import Analysis, Explanation, StudySummary
from webapp.core.readonly_admin import ReadOnlyAdmin


@admin.register(Analysis)
class AnalysisAdmin(ReadOnlyAdmin):
    list_display = [
        "id",
        "model_version",
        "status",
        "finding",
        "abstention",
        "error_code",
        "attempts",
        "seconds",
    ]
    list_filter = ["status", "abstention", "error_code", "model_version__slot"]
    list_select_related = ["model_version"]
    date_hierarchy = "created_at"


@admin.register(Explanation)
class ExplanationAdmin(ReadOnlyAdmin):
    list_display = ["id", "analysis", "method", "status", "error_code", "attempts", "seconds"]
    list_filter = ["status", "method", "error_code"]
    list_select_related = ["analysis"]
    exclude = ["cam"]
    date_hierarchy = "created_at"


@admin.register(StudySummary)
class StudySummaryAdmin(ReadOnlyAdmin):
    list_display = ["study", "site", "status", "finding", "probability", "reason", "scans", "latest_at"]
    list_filter = ["status", "finding", "site"]
    list_select_related = ["study", "site"]
