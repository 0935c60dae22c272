"""DICOM files: what they are, where they belong, and their grey levels (PS3.3 C.7.6.3, C.11.1, C.11.2)."""

from __future__ import annotations

import io
import logging
import math
import warnings
import zlib

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from classifier.contract import RefusalReason, Slot
from classifier.errors import Refused, undecodable_if_broken
from classifier.images.decode import stored_values
from classifier.images.limits import MAX_INFLATED_BYTES
from classifier.images.metadata import metadata_of
from classifier.images.routing import slot_of
from classifier.images.source import Source, check_size, digest, luma
from classifier.images.voi import lookup_table, voi_of

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
# Its warnings quote values of the header, which may be the patient's.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

_PREAMBLE, _MAGIC, _META_BYTES = 128, b"DICM", 4096


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
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    if len(dataset) == 0:
        raise Refused(RefusalReason.UNDECODABLE, "no data elements")
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = plain if little else pydicom.uid.ExplicitVRBigEndian
    return dataset


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
            raise Refused(RefusalReason.UNSUPPORTED_MODALITY, "a colour picture of a CT")
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
    slope, intercept = _rescale(dataset)
    slope, intercept = slope * step, intercept + slope * base
    if dataset.get("ModalityLUTSequence"):
        inputs = np.arange(1 << bits) * step + base
        first, table, _ = lookup_table(dataset.ModalityLUTSequence[0], dataset, inputs)
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
    }


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


def _rescale(dataset: Dataset) -> tuple[float, float]:
    """Slope and intercept, also of an enhanced object's functional groups; nonsense counts as absent."""
    holder = dataset
    for groups in (
        dataset.get("PerFrameFunctionalGroupsSequence"),
        dataset.get("SharedFunctionalGroupsSequence"),
    ):
        if groups and groups[0].get("PixelValueTransformationSequence"):
            holder = groups[0].PixelValueTransformationSequence[0]
            break
    slope, intercept = float(holder.get("RescaleSlope") or 1), float(holder.get("RescaleIntercept") or 0)
    if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0:
        return 1.0, 0.0
    return slope, intercept


def _padding(dataset: Dataset, stored: np.ndarray) -> np.ndarray | None:
    """Pixels that only fill up the frame (PS3.3 C.7.5.1.1.2)."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(value if limit is None else limit)))
    mask = (stored >= low) & (stored <= high)
    return mask if mask.any() and not mask.all() else None
