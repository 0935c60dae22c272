from __future__ import annotations

from django.contrib import admin

from webapp.core.readonly_admin import ReadOnlyAdmin
from webapp.monitoring.models import Alarm, AlarmEvent, Baseline, Round


@admin.register(Alarm)
class AlarmAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "site", "model_version", "kind", "status", "since", "mailed_at"]
    list_filter = ["status", "kind", "site"]
    list_select_related = ["site", "model_version"]


@admin.register(AlarmEvent)
class AlarmEventAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "alarm", "act", "by", "outcome"]
    list_filter = ["act"]
    list_select_related = ["alarm", "by"]


@admin.register(Baseline)
class BaselineAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "site", "model_version", "kind", "cases", "until", "ended_at"]
    list_filter = ["kind", "site"]
    list_select_related = ["site", "model_version"]
    exclude = ["data"]


@admin.register(Round)
class RoundAdmin(ReadOnlyAdmin):
    list_display = ["baseline", "number", "cases", "capital", "highest", "latest", "ended_at"]
    list_select_related = ["baseline"]
    exclude = ["points"]
