"""The collection of simulated patients, which the worker renders once: for loading and download.

`HILUM_DATA/phantoms/collection.zip` holds images and `manifest.csv` (image, patient, study_date); it is
either complete or absent.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from webapp.accounts.models import Site, User
from webapp.core.errors import CodedError
from webapp.core.storage import phantom_collection
from webapp.scans.models import Upload
from webapp.scans.services import upload_store
from webapp.scans.uploads.stated_metadata import Claim


@dataclass(frozen=True)
class Image:
    name: str
    patient: str
    date: str


def images() -> list[Image]:
    """The images in the manifest's order; empty until they are rendered."""
    try:
        with ZipFile(phantom_collection()) as archive:
            return [
                Image(row["image"], row["patient"], row.get("study_date", "")) for row in _manifest(archive)
            ]
    except FileNotFoundError:
        return []


def read_image(name: str) -> bytes:
    """One image's bytes; raises CodedError `not_found`."""
    try:
        with ZipFile(phantom_collection()) as archive:
            return archive.read(name)
    except (FileNotFoundError, KeyError) as error:
        raise CodedError("not_found") from error


def load_into(*, site: Site, user: User) -> list[Upload]:
    """Upload the collection to the site, like any files; images uploaded before stay as they are."""
    uploads = []
    for image in images():
        # For DICOM files the header is used instead.
        claim = Claim.parse(patient_id=image.patient, date=image.date)
        name = Path(image.name).name
        try:
            upload, _ = upload_store(
                user=user, site=site, chunks=_chunks(image.name), filename=name, claim=claim
            )
        except CodedError as error:
            if error.code != "patient_conflict":
                raise
            continue  # it was moved to another patient: it stays there
        uploads.append(upload)
    return uploads


def _manifest(archive: ZipFile) -> Iterator[dict[str, str]]:
    with archive.open("manifest.csv") as file:
        yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"))


def _chunks(name: str) -> Iterator[bytes]:
    yield read_image(name)
