"""Simulated patients: the page, loading them like any files, and their download.

The worker renders them once into `HILUM_DATA/phantoms/collection.zip`, with images and `manifest.csv` (image,
patient, study_date); the file is either complete or absent.
"""

from __future__ import annotations

import csv
import io
from itertools import groupby
from pathlib import Path
from zipfile import ZipFile

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.models import Site, User
from webapp.core.errors import CodedError
from webapp.core.storage import phantom_collection
from webapp.pages.access import active_site, at_active_site
from webapp.scans.services import upload_store
from webapp.scans.uploads.stated_metadata import StatedMetadata


@require_safe
@at_active_site("scan.upload")
def page(request: HttpRequest) -> HttpResponse:
    images = read_manifest()
    patients = [(patient, list(some)) for patient, some in groupby(images, key=lambda row: row["patient"])]
    return render(request, "upload/phantoms.html", {"patients": patients, "count": len(images)})


@require_POST
@at_active_site("scan.upload")
def load(request: HttpRequest) -> HttpResponse:
    if not read_manifest():
        text = _("The simulated patients are still being rendered. Try again in a minute.")
        messages.error(request, text)
        return redirect("pages:phantoms")
    number = load_into(site=active_site(request), user=request.user)
    text = ngettext("%(number)s simulated image uploaded.", "%(number)s simulated images uploaded.", number)
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


def read_manifest() -> list[dict[str, str]]:
    """The lines of the collection's manifest; empty until it is rendered."""
    try:
        with ZipFile(phantom_collection()) as archive, archive.open("manifest.csv") as file:
            return list(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8")))
    except FileNotFoundError:
        return []


def load_into(*, site: Site, user: User) -> int:
    """Upload the collection to the site, like any files; returns how many images it has there."""
    number = 0
    with ZipFile(phantom_collection()) as archive:
        for row in read_manifest():
            # For DICOM files the header is used instead.
            stated = StatedMetadata.parse(patient_id=row["patient"], date=row.get("study_date", ""))
            chunks, name = iter([archive.read(row["image"])]), Path(row["image"]).name
            try:
                upload_store(user=user, site=site, chunks=chunks, filename=name, stated=stated)
            except CodedError as error:
                if error.code != "patient_conflict":
                    raise
                continue  # it was moved to another patient: it stays there
            number += 1
    return number
