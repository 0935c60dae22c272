"""REST API v1; its description is at `schema/` (OpenAPI)."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView

from webapp.api.views import ScanCollection, ScanDetail

urlpatterns = [
    path("schema/", SpectacularJSONAPIView.as_view(), name="api-schema"),
    path("scans/", ScanCollection.as_view(), name="api-scans"),
    path("scans/<uuid:scan_id>/", ScanDetail.as_view(), name="api-scan"),
]
