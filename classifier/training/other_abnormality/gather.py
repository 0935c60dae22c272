"""The images that a score of other abnormalities is fitted on: known ones of a classifier's, and others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from classifier.artifact.weights import Artifact
from classifier.data.image_cache import prepare, preprocessing_for
from classifier.data.manifest import Row, read_manifest
from classifier.inference.auxiliary import lung_boxes
from classifier.training.other_abnormality.cases import Cases, cases_of, joined

LEARNED = ("train", "val")
MOST = 1000  # images with known findings of each of these parts


def gather(
    artifact: Artifact,
    rows: Sequence[Row],
    other: Path,
    cache: Path,
    *,
    device: str,
    seed: int = 0,
    most: int = MOST,
    quiet: bool = False,
) -> Cases:
    """The cases of the classifier's rows, which have a `split`, and of the manifest `other`.

    `most` is the number of known images of the train part, and of the validation part. Prepared images are
    kept in the folder `cache`. Raises ValueError without an image of another abnormality.
    """
    known = [row for part in LEARNED for row in drawn(rows, part, most, seed=seed)]
    tested = {row.patient for row in rows if row.split == "test"}
    unknown = read_other(other, artifact.spec.findings, left_out=tested)
    preprocessing = preprocessing_for(artifact.spec, **lung_boxes(artifact.spec, artifact.segmenter))
    found = []
    for chosen in (known, unknown):
        ready = prepare(chosen, preprocessing, cache, slot=artifact.spec.slot, progress=not quiet)
        usable = [place for place, row in enumerate(chosen) if row.image not in ready.refused]
        images = np.asarray(ready.images[usable])
        found.append(cases_of(artifact, [chosen[i] for i in usable], images, device, quiet=quiet))
    return joined(found)


def read_other(path: Path, findings: Sequence[str], *, left_out: set[str]) -> list[Row]:
    """The rows of a manifest with other abnormalities: any finding that is not one of the model's `findings`.

    Rows with the model's findings are known images of the same origins; they belong to no part of its split.
    Patients of `left_out` are left out. Raises ValueError without an image of another abnormality.
    """
    rows = [row for row in read_manifest(path) if row.findings and row.patient not in left_out]
    if not any(set(row.findings or ()) - set(findings) for row in rows):
        raise ValueError(
            f"{path.name} has no image with another abnormality: state a finding that is none of "
            f"{', '.join(findings)}"
        )
    return [replace(row, split=None) for row in rows]


def drawn(rows: Sequence[Row], part: str, count: int, *, seed: int) -> list[Row]:
    """At most `count` rows of the part with a known finding, evenly over sources and findings."""
    known = [row for row in rows if row.split == part and row.findings]
    strata: dict[str, list[Row]] = {}
    for place in np.random.default_rng(seed).permutation(len(known)):
        strata.setdefault(known[place].stratum, []).append(known[place])
    chosen: list[Row] = []
    for done, group in enumerate(sorted(strata.values(), key=len)):
        chosen += group[: (count - len(chosen)) // (len(strata) - done)]
    return chosen
