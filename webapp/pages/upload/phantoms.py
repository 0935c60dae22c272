"""The collection of simulated patients that the worker renders once: to be loaded, or to be taken home.

`HILUM_DATA/phantoms/collection.zip` holds images and `manifest.csv` (image, patient, study_date); it is
there whole or not at all.
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
    """What the collection holds, in the manifest's order; empty until it is rendered."""
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
    """Hand the collection in at the site, like any files; those that are there already stay as they are."""
    uploads = []
    for image in images():
        # A DICOM file names its patient itself; claiming it as well does no harm.
        claim = Claim.parse(patient_id=image.patient, date=image.date)
        name = Path(image.name).name
        try:
            upload, _ = upload_store(
                user=user, site=site, chunks=_chunks(image.name), filename=name, claim=claim
            )
        except CodedError as error:
            if error.code != "patient_conflict":
                raise
            continue  # somebody has moved it to another patient: it stays there
        uploads.append(upload)
    return uploads


def _manifest(archive: ZipFile) -> Iterator[dict[str, str]]:
    with archive.open("manifest.csv") as file:
        yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"))


def _chunks(name: str) -> Iterator[bytes]:
    yield read_image(name)
