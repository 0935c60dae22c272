"""Test cases that a model was trained or validated on, which a comparison has to leave out."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from classifier.artifact.header import read_header
from classifier.artifact.training_set import TrainingSet
from webapp.core import storage
from webapp.registry.models import Comparison
from webapp.registry.promotion_gate import scan_in
from webapp.registry.selectors import artifact_path
from webapp.scans.models import Scan

SCANS_AT_ONCE = 500


def unseen_cases(row: Comparison, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The manifest of a comparison without the test cases that either model has learned from.

    Returns its path and the numbers excluded: `cases`, by side, and the sides without recorded training data.
    A model trained elsewhere knows the uploaded file and the patient ID, one trained here the working image
    and the pseudonym, so all of them are looked up.
    """
    source = storage.path_of(row.manifest_name)
    with source.open(newline="") as file:
        table = csv.DictReader(file)
        columns, lines = list(table.fieldnames or ()), list(table)
    versions = {"candidate": row.candidate, "active": row.active}
    sets = {side: read_header(artifact_path(v)).training_set for side, v in versions.items() if v}
    identities = identities_of(line["image"] for line in lines)
    kept, excluded = [], {"cases": 0, **dict.fromkeys(sets, 0)}
    for line in lines:
        in_test = line["split"] == "test"
        overlap = [side for side, used in sets.items() if in_test and seen(used, line, identities)]
        excluded["cases"] += bool(overlap)
        for side in overlap:
            excluded[side] += 1
        if not overlap:
            kept.append(line | {"image": os.path.normpath(source.parent / line["image"])})
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    remaining = sum(line["split"] == "test" for line in kept)
    unrecorded = [side for side, used in sets.items() if used is None]
    return manifest, {**excluded, "remaining": remaining, "unrecorded": unrecorded}


def identities_of(images: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Image path to (sha256 of the uploaded file, patient ID) of its scan."""
    scans = {scan: image for image in images if (scan := scan_in(image))}
    keys, found = list(scans), {}
    for at in range(0, len(keys), SCANS_AT_ONCE):
        rows = Scan.objects.filter(pk__in=keys[at : at + SCANS_AT_ONCE])
        identity = ("upload__sha256", "series__study__patient__patient_id")
        for key, sha256, patient in rows.values_list("pk", *identity):
            found[scans[key]] = (sha256, patient)
    return found


def seen(used: TrainingSet | None, line: Mapping[str, str], identities: Mapping[str, Any]) -> bool:
    if used is None:
        return False
    upload, patient = identities.get(line["image"], ("", ""))
    images, patients = {upload, line.get("sha256", "")} - {""}, {patient, line["patient"]} - {""}
    return any(map(used.contains_image, images)) or any(map(used.contains_patient, patients))
