from __future__ import annotations

from django.contrib import admin

from webapp.core.readonly_admin import ReadOnlyAdmin
from webapp.monitoring.models import Alarm, AlarmEvent, Baseline, MonitoringRun


@admin.register(Alarm)
class AlarmAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "site", "model_version", "kind", "status", "since", "mailed_at"]
    list_filter = ["status", "kind", "site"]
    list_select_related = ["site", "model_version"]


@admin.register(AlarmEvent)
class AlarmEventAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "alarm", "action", "by", "outcome"]
    list_filter = ["action"]
    list_select_related = ["alarm", "by"]


@admin.register(Baseline)
class BaselineAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "site", "model_version", "kind", "cases", "until", "ended_at"]
    list_filter = ["kind", "site"]
    list_select_related = ["site", "model_version"]
    exclude = ["data"]


@admin.register(MonitoringRun)
class RoundAdmin(ReadOnlyAdmin):
    list_display = ["baseline", "number", "cases", "martingale", "max_martingale", "latest", "ended_at"]
    list_select_related = ["baseline"]
    exclude = ["points"]
