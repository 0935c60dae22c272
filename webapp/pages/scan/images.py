"""Scan images: served through a permission check and cached by the reader's own browser only."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseNotModified
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import Scan
from webapp.scans.pixels import grey_levels, orientation_of, spacing_of, thumbnail
from webapp.scans.selectors import scan_or_404

PNG, GREY = "image/png", "application/octet-stream"
PIXELS, THUMBNAIL = "pixels", "thumbnail"
KINDS = ("preview", "display", PIXELS, THUMBNAIL)
DERIVED_FROM = {PIXELS: "display", THUMBNAIL: "preview"}


@require_safe
def image(request: HttpRequest, scan_id: UUID, kind: str) -> HttpResponse:
    """The scan's image: `preview` (8-bit PNG, at most 1,024 px), `thumbnail` (a smaller preview), `display`
    (16-bit PNG) or `pixels`.

    `pixels` are those of `display` as unsigned 16-bit little-endian numbers, row by row, for the viewer. The
    content's hash is the ETag: a browser revalidates each time, and receives 304 while it has permission.
    """
    if kind not in KINDS:
        raise CodedError("not_found")
    scan = scan_or_404(request.user, scan_id)
    sha256 = getattr(scan, f"{DERIVED_FROM.get(kind, kind)}_sha256")
    etag = f'"{sha256}-{kind}"' if kind in DERIVED_FROM else f'"{sha256}"'
    response: HttpResponse
    if etag in request.headers.get("If-None-Match", ""):
        response = HttpResponseNotModified()
    else:
        response = image_content(scan, kind)
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    return response


def image_content(scan: Scan, kind: str) -> HttpResponse:
    """The image's bytes; raises CodedError `unavailable` where the stored file is missing or damaged."""
    try:
        if kind == PIXELS:
            return HttpResponse(grey_levels(scan), content_type=GREY)
        if kind == THUMBNAIL:
            return HttpResponse(thumbnail(scan.preview_name), content_type=PNG)
        return FileResponse(storage.open_file(getattr(scan, f"{kind}_name")), content_type=PNG)
    except FileNotFoundError as error:
        raise unavailable(_("The image file is missing from storage.")) from error
    except ValueError as error:
        raise unavailable(_("The stored image file is damaged.")) from error


def unavailable(message: str) -> CodedError:
    return CodedError("unavailable", message, status=HTTPStatus.SERVICE_UNAVAILABLE)


def viewer_values(scan: Scan) -> dict[str, Any]:
    """The image for the viewer, as JSON values: window in display units, `spacing` in mm (row, column)."""
    spacing = spacing_of(scan)
    return {
        "id": str(scan.pk),
        "rows": scan.rows,
        "columns": scan.columns,
        "windowCenter": scan.window_center,
        "windowWidth": scan.window_width,
        "slope": scan.slope,
        "intercept": scan.intercept,
        "modality": scan.series.modality,
        "spacing": [spacing.row, spacing.column] if spacing else None,
        "spacingAt": spacing.at if spacing else None,
        "orientation": orientation_of(scan),
        "pixels": reverse("pages:media", args=[scan.pk, PIXELS]),
        "preview": reverse("pages:media", args=[scan.pk, "preview"]),
    }
