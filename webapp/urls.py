"""Every address of the site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from webapp.api.metrics import metrics
from webapp.core.http import views
from webapp.monitoring.operations.views import readyz

urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("", include("webapp.accounts.urls")),
    path("", include("webapp.pages.urls")),
    path("dicomweb/", include("webapp.dicomweb.urls")),
    path("fhir/", include("webapp.api.fhir.urls")),
    path("api/v1/", include("webapp.api.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "webapp.core.http.views.bad_request"
handler403 = "webapp.core.http.views.permission_denied"
handler404 = "webapp.core.http.views.page_not_found"
handler500 = "webapp.core.http.views.server_error"
