from __future__ import annotations

from django.contrib import admin

from webapp.core.readonly_admin import ReadOnlyAdmin
from webapp.training.models import TrainingRun


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    list_display = ["id", "status", "error_code", "attempts", "candidate", "site", "started_by", "created_at"]
    list_filter = ["status", "error_code"]
    list_select_related = ["candidate", "site", "started_by"]
