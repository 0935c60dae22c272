"""Kinds of result objects and destinations, and when results are sent. Stored values keep their meaning."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _


class ObjectKind(models.TextChoices):
    """`image` and `rejection` are added where they are needed; rules name the others."""

    RESULT = "result", _("AI result (SR)")
    OVERLAY = "overlay", _("Image with heatmap (SC)")
    PDF = "pdf", _("Report (PDF)")
    HEATMAP = "heatmap", _("Heatmap lines (GSPS)")
    READING = "reading", _("Signed reading (SR)")
    MARKS = "marks", _("Measurements (SR)")
    KEY_IMAGES = "key_images", _("Key images (KOS)")
    IMAGE = "image", _("Uploaded image (SC)")
    REJECTION = "rejection", _("Rejection note (KOS)")


CHOOSABLE = [kind for kind in ObjectKind if kind not in (ObjectKind.IMAGE, ObjectKind.REJECTION)]


class DestinationKind(models.TextChoices):
    DICOM = "dicom", _("DICOM (C-STORE)")
    STOW = "stow", _("DICOMweb (STOW-RS)")
    FHIR = "fhir", _("FHIR R4")
    HL7 = "hl7", _("HL7 v2 (ORU^R01 over MLLP)")


# These take objects; the others take the result itself.
OBJECT_DESTINATIONS = (DestinationKind.DICOM, DestinationKind.STOW)
URL_DESTINATIONS = (DestinationKind.STOW, DestinationKind.FHIR)


class When(models.TextChoices):
    AT_ONCE = "at_once", _("When the analysis is done")
    AFTER_READING = "after_reading", _("After a reading is signed")
    ON_REQUEST = "on_request", _("On request")


NO_FINDING = "none"  # in a rule's findings: results in which no finding reaches its threshold


def known_objects(value: object) -> None:
    """Validator of a JSON list of object kinds; raises ValidationError."""
    if not isinstance(value, list) or not value or set(value) - {kind.value for kind in CHOOSABLE}:
        raise ValidationError("Only these objects exist: " + ", ".join(kind.value for kind in CHOOSABLE))
