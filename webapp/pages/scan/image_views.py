"""Images: every one through a permission check, then kept by the reader's own browser only."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import Scan
from webapp.scans.pixels import grey_levels, thumbnail
from webapp.scans.selectors import scan_or_404

PNG, GREY = "image/png", "application/octet-stream"
PIXELS, THUMBNAIL = "pixels", "thumbnail"
KINDS = ("preview", "display", PIXELS, THUMBNAIL)
MADE_OF = {PIXELS: "display", THUMBNAIL: "preview"}


@require_safe
def image(request: HttpRequest, scan_id: UUID, kind: str) -> HttpResponse:
    """The scan's image: `preview` (8-bit PNG, at most 1,024 px), `thumbnail` (that made small), `display`
    (16-bit PNG) or `pixels`.

    `pixels` are those of `display` as unsigned 16-bit little-endian numbers, row by row, for the viewer. The
    content's hash is the ETag; a browser asks anew each time and is answered 304 while it may see it.
    """
    if kind not in KINDS:
        raise CodedError("not_found")
    scan = scan_or_404(request.user, scan_id)
    sha256 = getattr(scan, f"{MADE_OF.get(kind, kind)}_sha256")
    etag = f'"{sha256}-{kind}"' if kind in MADE_OF else f'"{sha256}"'
    response: HttpResponse
    if etag in request.headers.get("If-None-Match", ""):
        response = HttpResponseNotModified()
    else:
        response = image_content(scan, kind)
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    return response


def image_content(scan: Scan, kind: str) -> HttpResponse:
    """The image's bytes; raises CodedError `unavailable` where the store has it no more."""
    try:
        if kind == PIXELS:
            return HttpResponse(grey_levels(scan), content_type=GREY)
        if kind == THUMBNAIL:
            return HttpResponse(thumbnail(scan.preview_name), content_type=PNG)
        return FileResponse(storage.open_file(getattr(scan, f"{kind}_name")), content_type=PNG)
    except FileNotFoundError as error:
        message = _("The image file is missing from storage.")
        raise CodedError("unavailable", message, status=HTTPStatus.SERVICE_UNAVAILABLE) from error
    except ValueError as error:
        message = _("The stored image file is damaged.")
        raise CodedError("unavailable", message, status=HTTPStatus.SERVICE_UNAVAILABLE) from error
