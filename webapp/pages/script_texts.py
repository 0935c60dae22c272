"""The words that the pages' scripts say, in the reader's language; static/js/words.js reads them."""

from __future__ import annotations

from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page
from django.views.i18n import JavaScriptCatalog

# Our own words only: Django's admin loads its own. Asked for again after an hour, sent again if changed.
script = cache_control(private=True, max_age=3600)(
    conditional_page(JavaScriptCatalog.as_view(packages=["webapp.pages"]))
)
