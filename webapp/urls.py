"""Every address of the site: health and sign-in first, then the pages and the API."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path

from webapp.core import views

urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("", include("webapp.accounts.urls")),
    path("admin/", admin.site.urls),
]
for prefix, module in (("api/v1/", "webapp.api.urls"), ("", "webapp.pages.urls")):
    if find_spec(module):
        urlpatterns.append(path(prefix, include(module)))

handler400 = "webapp.core.views.bad_request"
handler403 = "webapp.core.views.permission_denied"
handler404 = "webapp.core.views.page_not_found"
handler500 = "webapp.core.views.server_error"
