"""DICOM files: what they are, where they belong, and their grey levels (PS3.3 C.7.6.3, C.11.1, C.11.2)."""

from __future__ import annotations

import io
import logging
import warnings
import zlib

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from classifier.contract import RefusalReason, Slot
from classifier.errors import Refused, undecodable_if_broken
from classifier.images.dicom.metadata import metadata_of, number
from classifier.images.dicom.pixel_data import stored_values
from classifier.images.dicom.routing import slot_of
from classifier.images.dicom.voi_lut import functional_group, lookup_table, table_item, voi_of
from classifier.images.limits import MAX_INFLATED_BYTES
from classifier.images.source import Source, check_size, digest, luma

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
# Its warnings quote values of the header, which may be the patient's.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

_PREAMBLE, _MAGIC, _META_BYTES = 128, b"DICM", 4096
_PIXEL_DATA = 0x7FE00010

_FIRST_GROUPS = {b"\x02\x00", b"\x08\x00", b"\x00\x08"}


def looks_like_dicom(data: bytes) -> bool:
    """Part 10 files, and those written without the preamble or the file meta information."""
    if data[_PREAMBLE : _PREAMBLE + 4] == _MAGIC:
        return True
    if data[:2] not in _FIRST_GROUPS:
        return False
    return (data[4:6].isalpha() and data[4:6].isupper()) or int.from_bytes(data[4:8], "little") <= 1024


def read_dicom(data: bytes) -> Source:
    """Source of a DICOM file. Raises Refused with any reason but too_uniform."""
    with warnings.catch_warnings(), undecodable_if_broken():
        warnings.simplefilter("ignore")
        return _source(dataset_of(data))


def dataset_of(data: bytes) -> Dataset:
    _check_inflated_size(data)
    dataset = read_partial(io.BytesIO(data), _behind_pixels, force=True)
    if len(dataset) == 0:
        raise Refused(RefusalReason.UNDECODABLE, "no data elements")
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = plain if little else pydicom.uid.ExplicitVRBigEndian
    return dataset


def _behind_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    """Where reading stops: what follows is padding and signatures, or rubbish that would spoil the rest."""
    return tag > _PIXEL_DATA


def _check_inflated_size(data: bytes) -> None:
    """Raise Refused(too_large) for a deflated data set that would fill the memory (PS3.5 A.5)."""
    head = data[:_META_BYTES]
    if head[_PREAMBLE : _PREAMBLE + 4] != _MAGIC or DeflatedExplicitVRLittleEndian.encode() not in head:
        return
    # (0002,0000) comes first and says how long the group is; it is 12 bytes itself.
    start = _PREAMBLE + 16 + int.from_bytes(head[_PREAMBLE + 12 : _PREAMBLE + 16], "little")
    inflate, pending, size = zlib.decompressobj(-zlib.MAX_WBITS), data[start:], 0
    while pending and not inflate.eof:
        size += len(inflate.decompress(pending, 1 << 20))
        pending = inflate.unconsumed_tail
        if size > MAX_INFLATED_BYTES:
            raise Refused(RefusalReason.TOO_LARGE, "inflates beyond the limit")


def _source(dataset: Dataset) -> Source:
    slot = slot_of(dataset)
    if "PixelData" not in dataset:
        raise Refused(RefusalReason.UNDECODABLE, "the pixel data is missing")
    check_size(int(dataset.Rows), int(dataset.Columns))
    stored = stored_values(dataset)
    synthetic = str(dataset.get("SyntheticData", "")).upper() == "YES"
    common = {
        "slot": Slot.PHANTOM if synthetic else slot,
        "synthetic": synthetic,
        "pixel_sha256": digest(stored),
        "metadata": metadata_of(dataset),
    }
    if stored.ndim == 3:
        if slot is Slot.CT:
            raise Refused(RefusalReason.UNSUPPORTED_MODALITY, "a colour image of a CT")
        levels, bits = _colour_levels(dataset, stored)
        return Source(levels=levels, bits=bits, **common)
    return Source(**_grey(dataset, stored, slot), **common)


def _colour_levels(dataset: Dataset, stored: np.ndarray) -> tuple[np.ndarray, int]:
    """Grey levels of RGB; a palette has a depth of its own, and deep data is brought to 16 bits."""
    depth = 8 * stored.dtype.itemsize
    bits = depth if dataset.PhotometricInterpretation == "PALETTE COLOR" else int(dataset.BitsStored)
    if bits > 16:
        stored, bits = stored >> (bits - 16), 16
    return np.minimum(luma(stored), (1 << bits) - 1), bits


def _grey(dataset: Dataset, stored: np.ndarray, slot: Slot) -> dict:
    """Levels and their meaning, of monochrome stored values."""
    levels, bits, step, base = _levels(dataset, stored)
    padding = _padding(dataset, stored)
    slope, intercept = _rescale(dataset, slot)
    slope, intercept = slope * step, intercept + slope * base
    item = table_item(dataset, "ModalityLUTSequence")
    if item is not None:
        inputs = np.arange(1 << bits) * step + base
        first, table, _ = lookup_table(item, dataset, inputs)
        at = np.clip(inputs - first, 0, len(table) - 1).astype(np.intp)
        levels, bits, slope, intercept = table[at].astype(np.uint16)[levels], 16, 1.0, 0.0
    shown, window = voi_of(dataset, np.arange(1 << bits) * slope + intercept)
    return {
        "levels": levels,
        "bits": bits,
        "slope": slope,
        "intercept": intercept,
        "shown": shown,
        "window": window,
        "inverted": dataset.PhotometricInterpretation == "MONOCHROME1",
        "padding": padding,
        "exposure": _is_exposure(dataset),
    }


def _is_exposure(dataset: Dataset) -> bool:
    """Whether this is a detector's raw image, linear in the dose, and not yet made for the eye."""
    raw = dataset.get("SOPClassUID") == DigitalXRayImageStorageForProcessing
    raw = raw or dataset.get("PresentationIntentType") == "FOR PROCESSING"
    return raw and str(dataset.get("PixelIntensityRelationship") or "").strip().upper() == "LIN"


def _levels(dataset: Dataset, stored: np.ndarray) -> tuple[np.ndarray, int, float, float]:
    """(levels, bits, step, base) with stored value = level * step + base; deep data is brought to 16 bits."""
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    if bits <= 16:
        base = -(1 << bits - 1) if signed else 0
        levels = stored.astype(np.int32) - base if signed else stored
        return levels.astype(np.uint16, copy=False), bits, 1, base
    low, high = float(stored.min()), float(stored.max())
    step = max((high - low) / 65535, 1.0)
    return np.rint((stored - low) / step).astype(np.uint16), 16, step, low


def _rescale(dataset: Dataset, slot: Slot) -> tuple[float, float]:
    """Slope and intercept, also of an enhanced object's functional groups.

    Nonsense counts as absent in a radiograph, and raises ValueError in a CT slice, whose units hang on it;
    without any rescale only signed values can be in Hounsfield units. Raises Refused(undecodable).
    """
    holder = functional_group(dataset, "PixelValueTransformationSequence")
    slope, intercept = number(holder.get("RescaleSlope")), number(holder.get("RescaleIntercept"))
    said = [holder.get(keyword) not in (None, "") for keyword in ("RescaleSlope", "RescaleIntercept")]
    if slot is Slot.CT and ((said[0] and not slope) or (said[1] and intercept is None)):
        raise ValueError("the rescale values are malformed")
    if slot is Slot.CT and not any(said) and not dataset.PixelRepresentation:
        raise Refused(RefusalReason.UNDECODABLE, "a CT slice without Hounsfield units")
    return slope or 1.0, intercept or 0.0


def _padding(dataset: Dataset, stored: np.ndarray) -> np.ndarray | None:
    """Pixels that only fill up the frame (PS3.3 C.7.5.1.1.2)."""
    value, limit = (number(dataset.get(f"PixelPadding{name}")) for name in ("Value", "RangeLimit"))
    if value is None:
        return None
    low, high = sorted(_as_stored(int(v), dataset) for v in (value, value if limit is None else limit))
    mask = (stored >= low) & (stored <= high)
    return mask if mask.any() and not mask.all() else None


def _as_stored(value: int, dataset: Dataset) -> int:
    """A 16-bit value with the sign of the pixels, which its own VR may not have."""
    if dataset.PixelRepresentation:
        return value - (1 << 16) if value >= 1 << 15 else value
    return value & 0xFFFF if value < 0 else value
