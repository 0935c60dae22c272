from __future__ import annotations

from django.contrib import admin

from webapp.backup.models import BackupRun
from webapp.core.readonly_admin import ReadOnlyAdmin


@admin.register(BackupRun)
class BackupRunAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "due_at", "status", "error_code", "backup", "files", "added", "problems"]
    list_filter = ["status"]
