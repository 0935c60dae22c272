from __future__ import annotations

from django.contrib import admin

from webapp.core.readonly_admin import ReadOnlyAdmin
from webapp.registry.models import CalibrationChange, ModelVersion, Promotion, ServingEngine, SiteCalibration


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "name", "status", "shipped", "site", "registered_by", "created_at"]
    list_filter = ["slot", "status"]
    list_select_related = ["site", "registered_by"]


@admin.register(Promotion)
class PromotionAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "model_version", "previous", "by", "reason"]
    list_select_related = ["model_version", "previous", "by"]


@admin.register(SiteCalibration)
class SiteCalibrationAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "site", "model_version", "by", "reason", "created_at"]
    list_select_related = ["site", "model_version", "by"]


@admin.register(CalibrationChange)
class CalibrationChangeAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "site", "model_version", "calibration", "by", "reason"]
    list_select_related = ["site", "model_version", "calibration", "by"]


@admin.register(ServingEngine)
class ServingEngineAdmin(ReadOnlyAdmin):
    list_display = ["model_version", "host", "device", "engine", "precision", "chosen_at"]
    list_select_related = ["model_version"]
