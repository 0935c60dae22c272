"""Measurements and marks as text."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webapp.labels.marks.models import ImageMark, KeyImage, MarkKind
from webapp.pages.scan.marks import view_text

KINDS = {
    MarkKind.LENGTH: gettext_lazy("Length"),
    MarkKind.ANGLE: gettext_lazy("Angle"),
    MarkKind.RECTANGLE: gettext_lazy("Rectangle"),
    MarkKind.ELLIPSE: gettext_lazy("Ellipse"),
    MarkKind.PROBE: gettext_lazy("Pixel value"),
    MarkKind.ARROW: gettext_lazy("Arrow"),
    MarkKind.CARDIOTHORACIC: gettext_lazy("Cardiothoracic ratio"),
}


def mark_values(number: int, mark: ImageMark) -> dict[str, Any]:
    return {
        "number": number,
        "key": mark.kind,
        "points": mark.points,
        "kind": str(KINDS[MarkKind(mark.kind)]),
        "text": mark.text,
        "value": value_text(mark.values),
        "signed_as": mark.signed_as,
        "saved_at": mark.created_at,
    }


def key_values(one: KeyImage) -> dict[str, Any]:
    return {
        "id": one.pk,
        "view": one.view,
        "text": view_text(one.view, one.scan),
        "signed_as": one.signed_as,
        "saved_at": one.created_at,
    }


def value_text(values: dict[str, Any]) -> str:
    """The values in words; empty where the mark measures nothing."""
    if "px" in values:
        return _length(values)
    if "degrees" in values:
        return f"{values['degrees']:.1f}°"
    if "ratio" in values:
        facts = {
            "ratio": f"{values['ratio']:.2f}",
            "heart": _length(values["heart"]),
            "thorax": _length(values["thorax"]),
        }
        return _("%(ratio)s (heart %(heart)s, thorax %(thorax)s)") % facts
    if "mean" in values:
        text = _("mean %(mean)s, SD %(sd)s, min %(min)s, max %(max)s, %(pixels)d pixels")
        return text % {n: f"{v:g}" if n != "pixels" else v for n, v in values.items()}
    return f"{values['value']:g}" if "value" in values else ""


def _length(values: dict[str, Any]) -> str:
    """Millimetres with where they hold: at the detector, a length is longer than in the patient."""
    if "mm" not in values:
        return _("%(px).0f px") % values
    if values["mm_at"] == "detector":
        return _("%(mm).1f mm at the detector") % values
    if values["mm_at"] == "unstated":
        return _("%(mm).1f mm (plane not stated)") % values
    return _("%(mm).1f mm (calibrated)") % values
