"""Where Hilum's working image of a DICOM file is not that of dcmtk and gdcm."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
from PIL import Image
from pydicom import Dataset

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.decoded_image import DecodedImage
from classifier.images.dicom import reader
from classifier.images.dicom.metadata import number
from classifier.images.dicom.routing import slot_of
from classifier.images.grayscale import shrink
from classifier.images.read import read_image
from classifier.reasons import RefusalReason
from tests.classifier.images.other_readers.readers import (
    WITHOUT_CODEC,
    NotRead,
    header_of,
    is_window_unused,
    shown_by_dcmtk,
    shown_by_gdcm,
)

READERS = {"dcmtk": shown_by_dcmtk, "gdcm": shown_by_gdcm}
# A little more than one grey level of eight bits, which a lossy codec may round either way.
MOST, MEAN = 300, 150
_CT_TOP = 65520


class How(StrEnum):
    """What differs; the last four are done to the other reader's image too before it is compared."""

    ONLY_HILUM = "only Hilum reads it"
    ONLY_OTHER = "only the other reads it"
    VALUES = "other brightness"
    WINDOW = "window not used"
    TURNED = "turned upright"
    SQUARE = "pixels made square"
    POLARITY = "negative made positive"


class Disagreement(NamedTuple):
    file: str
    reader: str
    how: How


class Compared(NamedTuple):
    """`images`: files with an image in Hilum, each compared with at least one other reader."""

    images: int
    disagreements: list[Disagreement]


def compared(folder: Path) -> Compared:
    """All DICOM files below the folder with one image, the same bytes once, in order of their names.

    Images of modalities that Hilum refuses are read as if they were X-rays.
    """
    found, images, seen = [], 0, set()
    with (
        tempfile.TemporaryDirectory() as scratch,
        mock.patch.object(reader, "slot_of", _any_slot),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        for path in sorted(folder.rglob("*.dcm")):
            digest = hashlib.sha256(path.read_bytes()).digest()
            if digest not in seen:
                seen.add(digest)
                ours, hows = _compared(path, Path(scratch))
                images += ours
                found += [Disagreement(path.name, *how) for how in hows]
    return Compared(images, found)


def _any_slot(dataset: Dataset) -> Slot:
    try:
        return slot_of(dataset)
    except Refused as refused:
        if "frame" in refused.detail or refused.reason is not RefusalReason.UNSUPPORTED_MODALITY:
            raise
        if (number(dataset.get("NumberOfFrames")) or 1) != 1:
            raise
        return Slot.CXR


def _compared(path: Path, scratch: Path) -> tuple[bool, list[tuple[str, How]]]:
    """Whether Hilum reads the file, and the disagreements, by reader."""
    try:
        ours = read_image(path)
    except Refused as refused:
        if refused.reason is not RefusalReason.UNDECODABLE:
            return False, []
        ours = None
    found = []
    for name, shown in READERS.items():
        try:
            theirs = shown(path, ours, scratch)
        except NotRead:
            syntax = header_of(path).file_meta.get("TransferSyntaxUID")
            if ours and syntax not in WITHOUT_CODEC[name]:
                found.append((name, How.ONLY_HILUM))
            continue
        if ours is None:
            found.append((name, How.ONLY_OTHER))
        else:
            unused = [How.WINDOW] if is_window_unused(header_of(path), ours) else []
            found += [(name, how) for how in [*unused, *_differences(ours, theirs)]]
    return ours is not None, found


def _differences(ours: DecodedImage, theirs: np.ndarray) -> Iterator[How]:
    if "turned" in ours.notes:
        yield How.TURNED
        theirs = _upright(theirs, ours.notes["turned"]["stored"])
    if "square_pixels" in ours.notes:
        yield How.SQUARE
        image = Image.fromarray(theirs.astype(np.float32))
        theirs = np.asarray(image.resize((ours.columns, ours.rows), Image.Resampling.BICUBIC))
    if ours.polarity_turned:
        yield How.POLARITY
        theirs = 65535 - theirs
    theirs = shrink(np.clip(np.rint(theirs), 0, 65535).astype(np.uint16)).astype(float)
    if ours.slot is Slot.CT:
        theirs *= _CT_TOP / 65535
    if theirs.shape != ours.working.shape:
        yield How.VALUES
        return
    off = np.abs(theirs - ours.working)
    if off.max() > MOST or off.mean() > MEAN:
        yield How.VALUES


def _upright(pixels: np.ndarray, orientation: str) -> np.ndarray:
    """As PatientOrientation wants it: the patient's left on the right, the head at the top."""
    rows, columns = orientation.split("\\")
    if rows[0] in "HF":
        pixels, rows, columns = pixels.T, columns, rows
    pixels = pixels[:, ::-1] if rows[0] == "R" else pixels
    return pixels[::-1] if columns[0] == "H" else pixels
