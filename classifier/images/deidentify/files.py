"""An image file of any kind, without the identity of its patient."""

from __future__ import annotations

import warnings
from pathlib import Path

from classifier.contract import RefusalReason
from classifier.errors import Refused, undecodable_if_broken
from classifier.images.deidentify.dicom import deidentify, written
from classifier.images.deidentify.pseudonyms import Pseudonyms, Removal
from classifier.images.deidentify.raster import stripped
from classifier.images.dicom.reader import dataset_of, looks_like_dicom
from classifier.images.limits import MAX_FILE_BYTES


def without_identity(path: Path | str, removal: Removal) -> bytes:
    """A DICOM file (PS3.15 Annex E) or an image file without identity, its pixels the same.

    Raises Refused(undecodable | too_large | not_an_image), OSError where the file cannot be read.
    """
    if Path(path).stat().st_size > MAX_FILE_BYTES:
        raise Refused(RefusalReason.TOO_LARGE, f"more than {MAX_FILE_BYTES >> 20} MiB")
    data = Path(path).read_bytes()
    if not looks_like_dicom(data):
        return stripped(data)
    with warnings.catch_warnings(), undecodable_if_broken():
        warnings.simplefilter("ignore")
        dataset, _ = deidentify(
            dataset_of(data), Pseudonyms(removal.key), keep_characteristics=removal.keep_characteristics
        )
        return written(dataset)
