"""What every template may use."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language

from classifier.contract import DISCLAIMER


def application(request: HttpRequest) -> dict[str, object]:
    # The source is in English: nothing to translate, so no catalogue to load.
    translated = not (get_language() or "en").startswith("en")
    return {"disclaimer": DISCLAIMER, "demo": settings.HILUM_ENV == "demo", "translated": translated}
