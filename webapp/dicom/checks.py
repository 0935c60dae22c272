"""System checks of the DICOM listener."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ValidationError

from webapp.dicom.values import valid_title


@register(Tags.security)
def title_is_valid(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        valid_title(settings.DICOM_AE_TITLE)
    except ValidationError as error:
        return [Error("DICOM_AE_TITLE is not valid.", hint=error.messages[0], id="hilum.E020")]
    return []


@register(Tags.security)
def tls_is_complete(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if bool(settings.DICOM_TLS_CERTIFICATE) == bool(settings.DICOM_TLS_KEY):
        return []
    hint = "Set DICOM_TLS_CERTIFICATE and DICOM_TLS_KEY, or neither."
    return [Error("The DICOM listener's TLS has a certificate or a key only.", hint=hint, id="hilum.E021")]
