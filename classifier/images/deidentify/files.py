"""De-identification of an image file of any supported format."""

from __future__ import annotations

import warnings
from pathlib import Path

from classifier.errors import refuse_broken_bytes
from classifier.images.deidentify.dicom import deidentify, to_bytes
from classifier.images.deidentify.pseudonyms import DeidentifyOptions, Pseudonyms
from classifier.images.deidentify.raster import strip_metadata
from classifier.images.dicom.header import is_dicom, read_dataset
from classifier.images.read import read_bytes


def deidentify_file(path: Path | str, options: DeidentifyOptions) -> bytes:
    """The file without identifying data, its pixels unchanged (DICOM: PS3.15 Annex E).

    Raises Refused(undecodable | too_large | not_an_image), OSError.
    """
    data = read_bytes(path)
    if not is_dicom(data):
        return strip_metadata(data)
    with warnings.catch_warnings(), refuse_broken_bytes():
        warnings.simplefilter("ignore")
        pseudonyms, keep = Pseudonyms(options.key), options.keep_characteristics
        return to_bytes(deidentify(read_dataset(data), pseudonyms, keep_characteristics=keep)[0])
