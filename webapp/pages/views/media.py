"""Pictures: every one through a permission check, then kept by the reader's own browser only."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.selectors import scan_or_404

KINDS = ("preview", "display")


@require_safe
def picture(request: HttpRequest, scan_id: UUID, kind: str) -> HttpResponse:
    """The scan's picture: `preview` (8-bit, at most 1,024 px) or `display` (16-bit grey PNG, full size).

    The content's hash is the ETag; a browser asks anew each time and is answered 304 while it may see it.
    """
    if kind not in KINDS:
        raise CodedError("not_found")
    scan = scan_or_404(request.user, scan_id)
    etag = f'"{getattr(scan, f"{kind}_sha256")}"'
    response: HttpResponse
    if etag in request.headers.get("If-None-Match", ""):
        response = HttpResponseNotModified()
    else:
        response = _file(getattr(scan, f"{kind}_name"))
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    return response


def _file(name: str) -> HttpResponse:
    try:
        file = storage.open_file(name)
    except FileNotFoundError as error:
        message = "The picture is missing from the store."
        raise CodedError("unavailable", message, status=HTTPStatus.SERVICE_UNAVAILABLE) from error
    return FileResponse(file, content_type="image/png")
