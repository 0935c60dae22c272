"""Measurements and marks as the viewer reads and saves them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from webapp.accounts.services import signed_in
from webapp.core.errors import CodedError
from webapp.core.http.json_body import parse_json
from webapp.labels.marks.models import ImageMark
from webapp.labels.marks.selectors import mark_or_404, marks_of
from webapp.labels.marks.services import mark_add, mark_change, mark_delete
from webapp.labels.read_first import HiddenResults
from webapp.scans.models import Scan
from webapp.scans.selectors import scan_or_404


@require_http_methods(["GET", "HEAD", "POST"])
def marks(request: HttpRequest, scan_id: UUID) -> JsonResponse:
    """The marks of a scan; POST saves a new one, a JSON body {"kind", "points", "text"}."""
    user = signed_in(request.user)
    scan = scan_or_404(user, scan_id)
    if request.method != "POST":
        return JsonResponse({"marks": shown_marks(scan, HiddenResults(user))})
    body = _body(request)
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
        mark_json(mark_change(mark=found, actor=user, **_content(_body(request)))), status=201
    )


def mark_sources(scans: Sequence[Scan], hiding: HiddenResults, *, may: bool) -> list[dict[str, Any]]:
    """For each scan: where its marks are saved, whether the person `may` at their site, and the marks."""
    return [
        {
            "url": reverse("pages:scan_marks", args=[scan.pk]),
            "may": may,
            "marks": shown_marks(scan, hiding),
        }
        for scan in scans
    ]


def shown_marks(scan: Scan, hiding: HiddenResults) -> list[dict[str, Any]]:
    """Oldest first; the person's own only, until they have stated a first impression where that is asked."""
    found = marks_of(scan)
    if hiding.of(scan.study.pk, scan.study.site_id):
        found = found.filter(author=hiding.reader)
    return [mark_json(one) for one in found]


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


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        body = parse_json(request.body)
    except ValueError as error:
        raise CodedError("invalid") from error
    if not isinstance(body, dict):
        raise CodedError("invalid")
    return body


def _content(body: dict[str, Any]) -> dict[str, Any]:
    points = body.get("points")
    if not isinstance(points, list) or not all(isinstance(point, list) for point in points):
        raise CodedError("invalid")
    if not all(_is_number(at) for point in points for at in point):
        raise CodedError("invalid")
    return {"points": points, "text": str(body.get("text", ""))}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
