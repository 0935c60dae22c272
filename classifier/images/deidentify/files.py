"""De-identification of an image file of any supported format."""

from __future__ import annotations

import warnings
from pathlib import Path

from classifier.errors import refuse_broken_bytes
from classifier.images.deidentify.dicom import deidentify, refuse_traces, to_bytes
from classifier.images.deidentify.pseudonyms import DeidentifyOptions, Pseudonyms
from classifier.images.deidentify.raster import rewritten
from classifier.images.dicom.header import is_dicom, read_dataset
from classifier.images.read import read_bytes


def deidentify_file(path: Path | str, options: DeidentifyOptions) -> bytes:
    """The file rewritten from its samples, without identifying data (DICOM: PS3.15 Annex E).

    The samples are unchanged; formats without a header become PNG, or JPEG of 9 to 15 bits. Raises Refused,
    also where something cannot be cleaned, and OSError.
    """
    data = read_bytes(path)
    if not is_dicom(data):
        return rewritten(data)
    with warnings.catch_warnings(), refuse_broken_bytes():
        warnings.simplefilter("ignore")
        pseudonyms, keep = Pseudonyms(options.key), options.keep_characteristics
        dataset, report = deidentify(read_dataset(data), pseudonyms, keep_characteristics=keep)
        clean = to_bytes(dataset)
    refuse_traces(clean, report)
    return clean
