"""Texts of the pages' scripts in the reader's language, for static/js/gettext.js."""

from __future__ import annotations

from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page
from django.views.i18n import JavaScriptCatalog

# Our own texts only: Django's admin loads its own. Cached for an hour, then revalidated.
script = cache_control(private=True, max_age=3600)(
    conditional_page(JavaScriptCatalog.as_view(packages=["webapp.pages"]))
)
