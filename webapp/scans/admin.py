from __future__ import annotations

from django.contrib import admin

from webapp.core.readonly_admin import ReadOnlyAdmin
from webapp.scans.models import Patient, PatientMerge, Scan, ScanMove, Series, Study, Upload


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = [
        *("id", "created_at", "site", "user", "status", "refusal", "error_code", "attempts", "size"),
        "parent",
    ]
    list_filter = ["status", "refusal", "site"]
    list_select_related = ["site", "user", "parent"]
    date_hierarchy = "created_at"


@admin.register(Patient)
class PatientAdmin(ReadOnlyAdmin):
    list_display = ["id", "site", "patient_id", "issuer", "provisional", "created_at"]
    list_filter = ["provisional", "site"]
    list_select_related = ["site"]


@admin.register(Study)
class StudyAdmin(ReadOnlyAdmin):
    list_display = ["id", "site", "study_date", "study_time", "created_at"]
    list_filter = ["site"]
    list_select_related = ["site"]


@admin.register(Series)
class SeriesAdmin(ReadOnlyAdmin):
    list_display = ["id", "study", "modality", "created_at"]
    list_select_related = ["study"]


@admin.register(Scan)
class ScanAdmin(ReadOnlyAdmin):
    list_display = ["id", "site", "slot", "synthetic", "polarity_turned", "rows", "columns", "received_at"]
    list_filter = ["slot", "synthetic", "polarity_turned", "site"]
    list_select_related = ["site"]
    date_hierarchy = "received_at"


@admin.register(ScanMove)
class ScanMoveAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "scan", "source", "target", "actor", "reason"]
    list_select_related = ["scan", "source", "target", "actor"]


@admin.register(PatientMerge)
class PatientMergeAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "source", "target", "actor", "reason", "unmerged_at", "unmerged_by"]
    list_select_related = ["source", "target", "actor", "unmerged_by"]
