"""Measurements, marks and key images as the viewer reads and saves them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from webapp.accounts.services import signed_in
from webapp.core.errors import CodedError
from webapp.labels.marks.key_images import (
    key_image_add,
    key_image_or_404,
    key_image_remove,
    key_images_of,
)
from webapp.labels.marks.models import ImageMark, KeyImage
from webapp.labels.marks.selectors import mark_or_404, marks_of
from webapp.labels.marks.services import mark_add, mark_change, mark_delete
from webapp.labels.read_first import HiddenResults
from webapp.pages.display import name_of_finding
from webapp.pages.request_data import json_object
from webapp.scans.models import Scan
from webapp.scans.selectors import scan_or_404


@require_http_methods(["GET", "HEAD", "POST"])
def marks(request: HttpRequest, scan_id: UUID) -> JsonResponse:
    """The marks of a scan; POST saves a new one, a JSON body {"kind", "points", "text"}."""
    user = signed_in(request.user)
    scan = scan_or_404(user, scan_id)
    if request.method != "POST":
        return JsonResponse({"marks": shown_marks(scan, HiddenResults(user))})
    body = json_object(request)
    saved = mark_add(scan=scan, actor=user, kind=str(body.get("kind")), **_content(body))
    return JsonResponse(mark_json(saved), status=201)


@require_http_methods(["PATCH", "DELETE"])
def mark(request: HttpRequest, mark_id: UUID) -> JsonResponse:
    """A new version with the points and text of a JSON body, or the deletion of the mark."""
    user = signed_in(request.user)
    found = mark_or_404(user, mark_id)
    if request.method == "DELETE":
        return JsonResponse(mark_json(mark_delete(mark=found, actor=user)))
    return JsonResponse(
        mark_json(mark_change(mark=found, actor=user, **_content(json_object(request)))), status=201
    )


@require_http_methods(["POST"])
def key_images(request: HttpRequest, scan_id: UUID) -> JsonResponse:
    """Mark the view of a JSON body {"view"} as a key image."""
    user = signed_in(request.user)
    scan = scan_or_404(user, scan_id)
    added = key_image_add(scan=scan, actor=user, view=json_object(request).get("view"))
    return JsonResponse(key_json(added, scan), status=201)


@require_http_methods(["DELETE"])
def key_image(request: HttpRequest, key_image_id: UUID) -> JsonResponse:
    user = signed_in(request.user)
    key_image_remove(key_image=key_image_or_404(user, key_image_id), actor=user)
    return JsonResponse({})


def mark_sources(scans: Sequence[Scan], hiding: HiddenResults, *, may: bool) -> list[dict[str, Any]]:
    """For each scan: where its marks are saved, whether the person `may` at their site, and the marks."""
    return [
        {
            "url": reverse("pages:scan_marks", args=[scan.pk]),
            "may": may,
            "marks": shown_marks(scan, hiding),
            "keyUrl": reverse("pages:scan_key_images", args=[scan.pk]),
            "keyImages": shown_key_images(scan, hiding),
        }
        for scan in scans
    ]


def shown_marks(scan: Scan, hiding: HiddenResults) -> list[dict[str, Any]]:
    """Oldest first; the person's own only, until they have stated a first impression where that is asked."""
    found = marks_of(scan)
    if hiding.of(scan.study.pk, scan.study.site_id):
        found = found.filter(author=hiding.reader)
    return [mark_json(one) for one in found]


def shown_key_images(scan: Scan, hiding: HiddenResults) -> list[dict[str, Any]]:
    """As `shown_marks`."""
    found = key_images_of(scan)
    if hiding.of(scan.study.pk, scan.study.site_id):
        found = found.filter(author=hiding.reader)
    return [key_json(one, scan) for one in found]


def key_json(one: KeyImage, scan: Scan) -> dict[str, Any]:
    return {
        "id": str(one.pk),
        "view": one.view,
        "text": view_text(one.view, scan),
        "by": one.signed_as,
        "at": one.created_at.isoformat(),
    }


def view_text(view: dict[str, Any], scan: Scan) -> str:
    """The view in words: window in modality values, zoom, and the finding of the heatmap where it is on."""
    values = {
        "width": round(view["width"] * abs(scan.slope)),
        "level": round(view["level"] * scan.slope + scan.intercept),
        "zoom": f"{view['zoom']:.1f}",
    }
    text = _("W %(width)s L %(level)s, zoom %(zoom)s") % values
    if view["finding"] and view["opacity"]:
        text += _(", heatmap %(finding)s") % {"finding": name_of_finding(view["finding"])}
    return text


def mark_json(mark: ImageMark) -> dict[str, Any]:
    return {
        "id": str(mark.pk),
        "kind": mark.kind,
        "points": mark.points,
        "text": mark.text,
        "values": mark.values,
        "by": mark.signed_as,
        "at": mark.created_at.isoformat(),
    }


def _content(body: dict[str, Any]) -> dict[str, Any]:
    points = body.get("points")
    if not isinstance(points, list) or not all(isinstance(point, list) for point in points):
        raise CodedError("invalid")
    if not all(_is_number(at) for point in points for at in point):
        raise CodedError("invalid")
    return {"points": points, "text": str(body.get("text", ""))}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
