"""FHIR R4 (read only) below `/fhir/`."""

from __future__ import annotations

from django.urls import path

from webapp.api.fhir import views

app_name = "fhir"
urlpatterns = [
    path("metadata", views.Capabilities.as_view(), name="metadata"),
    path("DiagnosticReport/_search", views.ReportSearch.as_view(), name="report-search"),
    path("DiagnosticReport/<uuid:key>", views.DiagnosticReport.as_view(), name="report"),
    path("Observation/<str:key>", views.Observation.as_view(), name="observation"),
    path("ImagingStudy/_search", views.StudySearch.as_view(), name="study-search"),
    path("ImagingStudy/<uuid:key>", views.ImagingStudy.as_view(), name="study"),
    path("Device/<uuid:key>", views.Device.as_view(), name="device"),
]
