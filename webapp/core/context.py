"""What every template knows of the house."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from classifier.contract import DISCLAIMER


def house(request: HttpRequest) -> dict[str, object]:
    return {"disclaimer": DISCLAIMER, "demo": settings.HILUM_ENV == "demo"}
