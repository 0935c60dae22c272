"""Simulated patients, and sources of real X-rays."""

from __future__ import annotations

from itertools import groupby

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import CodedError
from webapp.core.storage import phantom_collection
from webapp.pages.access import active_site, at_active_site
from webapp.pages.upload import phantoms


@require_safe
@at_active_site("scan.upload")
def page(request: HttpRequest) -> HttpResponse:
    found = phantoms.images()
    patients = [(patient, list(some)) for patient, some in groupby(found, key=lambda p: p.patient)]
    return render(request, "upload/phantoms.html", {"patients": patients, "count": len(found)})


@require_POST
@at_active_site("scan.upload")
def load(request: HttpRequest) -> HttpResponse:
    if not phantoms.images():
        text = _("The simulated patients are still being rendered. Try again in a minute.")
        messages.error(request, text)
        return redirect("pages:phantoms")
    uploads = phantoms.load_into(site=active_site(request), user=request.user)
    number = len(uploads)
    text = ngettext(
        "%(number)s simulated image uploaded.",
        "%(number)s simulated images uploaded.",
        number,
    )
    messages.success(request, text % {"number": number})
    return redirect("pages:upload")


@require_safe
@at_active_site("scan.upload")
def collection(request: HttpRequest) -> HttpResponse:
    """The whole collection with its manifest, for the upload page."""
    try:
        file = phantom_collection().open("rb")
    except FileNotFoundError as error:
        raise CodedError("not_found") from error
    return FileResponse(
        file, as_attachment=True, filename="hilum-phantoms.zip", content_type="application/zip"
    )
