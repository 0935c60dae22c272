"""Pictures: every one through a permission check, then kept by the reader's own browser only."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import Scan
from webapp.scans.pixels import grey_levels
from webapp.scans.selectors import scan_or_404

PNG, GREY = "image/png", "application/octet-stream"
PIXELS = "pixels"
KINDS = ("preview", "display", PIXELS)


@require_safe
def picture(request: HttpRequest, scan_id: UUID, kind: str) -> HttpResponse:
    """The scan's picture: `preview` (8-bit PNG, at most 1,024 px), `display` (16-bit PNG) or `pixels`.

    `pixels` are those of `display` as unsigned 16-bit little-endian numbers, row by row, for the viewer. The
    content's hash is the ETag; a browser asks anew each time and is answered 304 while it may see it.
    """
    if kind not in KINDS:
        raise CodedError("not_found")
    scan = scan_or_404(request.user, scan_id)
    etag = f'"{scan.display_sha256}-{kind}"' if kind == PIXELS else f'"{getattr(scan, f"{kind}_sha256")}"'
    response: HttpResponse
    if etag in request.headers.get("If-None-Match", ""):
        response = HttpResponseNotModified()
    else:
        response = picture_content(scan, kind)
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    return response


def picture_content(scan: Scan, kind: str) -> HttpResponse:
    """The picture's bytes; raises CodedError `unavailable` where the store has it no more."""
    try:
        if kind == PIXELS:
            return HttpResponse(grey_levels(scan), content_type=GREY)
        return FileResponse(storage.open_file(getattr(scan, f"{kind}_name")), content_type=PNG)
    except FileNotFoundError as error:
        message = "The picture is missing from the store."
        raise CodedError("unavailable", message, status=HTTPStatus.SERVICE_UNAVAILABLE) from error
    except ValueError as error:
        message = "The picture in the store is damaged."
        raise CodedError("unavailable", message, status=HTTPStatus.SERVICE_UNAVAILABLE) from error
