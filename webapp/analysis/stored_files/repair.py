"""What can be put right in the store: orphans go, images are made again, the rest is marked."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from classifier.errors import Refused
from classifier.images.sandbox.client import ParsingHelper
from webapp.analysis.stored_files.check import Findings, remove_orphans
from webapp.audit.services import record
from webapp.core import storage
from webapp.core.models import FileProblem
from webapp.registry.models import ModelVersion
from webapp.scans.models import Scan
from webapp.scans.uploads.files import KINDS, file_sha256, incoming_folder

# An upload may take hours; so much later no row will come.
SAFE_AGE = timedelta(days=1)


@dataclass(frozen=True)
class Repaired:
    removed: int
    made_again: int
    marked: int


def repair(found: Findings, *, deep: bool) -> Repaired:
    """Remove the orphans of `found`, make its other files again, and mark those that stay as they are.

    What was put right leaves `found`. `deep`: it is a check of every hash. Raises HelperFailed where files
    cannot be parsed.
    """
    removed = remove_orphans(found)
    broken = {*found.missing, *found.damaged}
    made = {*_images_again(broken), *_models_again(broken)}
    found.orphaned = []
    found.missing = [name for name in found.missing if name not in made]
    found.damaged = [name for name in found.damaged if name not in made]
    with transaction.atomic():
        marked = _mark(found, deep=deep)
        detail = {"removed": removed, "made_again": len(made), "marked": marked}
        record(actor=None, site=None, action="storage.repaired", detail=detail)
    return Repaired(removed, len(made), marked)


def _images_again(broken: set[str]) -> Iterable[str]:
    """Parse the originals of scans whose images are broken; the same pixels give the same images."""
    wanted = Q()
    for kind in KINDS:
        wanted |= Q(**{f"{kind}_name__in": broken})
    scans = list(Scan.objects.filter(wanted).select_related("upload")) if broken else []
    if not scans:
        return
    helper = ParsingHelper(settings.HILUM_SANDBOX)
    try:
        for scan in scans:
            yield from _images_of(scan, broken, helper)
    finally:
        helper.close()


def _images_of(scan: Scan, broken: set[str], helper: ParsingHelper) -> Iterable[str]:
    original, upload = storage.path_of(scan.upload.stored_name), scan.upload
    if upload.stored_name in broken:
        return
    with tempfile.TemporaryDirectory(dir=incoming_folder()) as folder:
        try:
            facts = helper.parse(original, folder, stated_slot=upload.stated_modality or None)
        except Refused:
            return  # no longer an image: it stays marked
        if facts.pixel_sha256 != scan.pixel_sha256:
            return
        for kind in KINDS:
            name = getattr(scan, f"{kind}_name")
            if name in broken:
                made = Path(folder) / facts.files[kind]
                sha256 = file_sha256(made)
                storage.put_file(made, name)
                # Another version of the encoder may write the same pixels in other bytes.
                Scan.objects.filter(pk=scan.pk).update(**{f"{kind}_sha256": sha256})
                yield name


def _models_again(broken: set[str]) -> Iterable[str]:
    """Copy shipped artifacts that have the same hash."""
    versions = list(ModelVersion.objects.filter(stored_name__in=broken)) if broken else []
    if not versions:
        return
    shipped = {file_sha256(path): path for path in Path(settings.HILUM_ARTIFACTS).glob("*.safetensors")}
    for version in versions:
        if version.sha256 in shipped:
            copy = incoming_folder() / f"{version.pk.hex}.safetensors"
            shutil.copyfile(shipped[version.sha256], copy)
            storage.put_file(copy, version.stored_name)
            yield version.stored_name


def _mark(found: Findings, *, deep: bool) -> int:
    """Keep the marks as they were found; a shallow check knows nothing of damage."""
    kinds = dict.fromkeys(found.missing, FileProblem.Kind.MISSING)
    kinds |= dict.fromkeys(found.damaged, FileProblem.Kind.DAMAGED)
    settled = FileProblem.objects.exclude(name__in=kinds)
    (settled if deep else settled.filter(kind=FileProblem.Kind.MISSING)).delete()
    for name, kind in kinds.items():
        FileProblem.objects.update_or_create(name=name, defaults={"kind": kind})
    return len(kinds)
