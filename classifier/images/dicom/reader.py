"""A DICOM file as grey levels with their meaning (PS3.3 C.7.6.3, C.11.1, C.11.2)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import DigitalXRayImageStorageForProcessing

from classifier.contract import Slot
from classifier.errors import Refused, refuse_broken_bytes
from classifier.images.age import unreadable_age
from classifier.images.dicom.header import read_dataset
from classifier.images.dicom.metadata import number, read_metadata
from classifier.images.dicom.pixel_data import stored_values
from classifier.images.dicom.routing import slot_of
from classifier.images.dicom.voi_lut import functional_group, lookup_table, read_voi, table_item
from classifier.images.raw_image import RawImage, check_size, digest, luma
from classifier.reasons import RefusalReason


def read_dicom(data: bytes) -> RawImage:
    """The image in a DICOM file. Raises Refused with any reason but too_uniform."""
    with warnings.catch_warnings(), refuse_broken_bytes():
        warnings.simplefilter("ignore")
        return _raw_image(read_dataset(data))


def _raw_image(dataset: Dataset) -> RawImage:
    slot = slot_of(dataset)
    if "PixelData" not in dataset:
        raise Refused(RefusalReason.UNDECODABLE, "the pixel data is missing")
    for keyword in ("Rows", "Columns", "BitsAllocated"):
        if number(dataset.get(keyword)) is None:
            raise Refused(RefusalReason.UNDECODABLE, f"{keyword} is missing or no number")
    check_size(int(dataset.Rows), int(dataset.Columns))
    stored = stored_values(dataset)
    synthetic = str(dataset.get("SyntheticData", "")).upper() == "YES"
    metadata = read_metadata(dataset)
    age = unreadable_age(metadata)
    common: dict[str, Any] = {
        "slot": Slot.PHANTOM if synthetic else slot,
        "synthetic": synthetic,
        "pixel_sha256": digest(stored),
        "aspect": _aspect(dataset),
        "notes": {"age_unreadable": {"PatientAge": age}} if age else {},
        "metadata": metadata,
    }
    if stored.ndim == 3:
        if slot is Slot.CT:
            raise Refused(RefusalReason.UNSUPPORTED_MODALITY, "a CT image in colour")
        levels, bits = _colour_levels(dataset, stored)
        return RawImage(levels=levels, bits=bits, **common)
    return RawImage(**_monochrome(dataset, stored, slot), **common)


def _aspect(dataset: Dataset) -> float:
    """Height over width of a pixel, by its spacing or PixelAspectRatio (PS3.3 C.7.6.3.1.7); 1 if unknown."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"):
        value = dataset.get(keyword)
        sides = [number(side) or 0.0 for side in value] if isinstance(value, MultiValue) else []
        if len(sides) == 2 and min(sides) > 0:
            return sides[0] / sides[1]
    return 1.0


def _colour_levels(dataset: Dataset, stored: np.ndarray) -> tuple[np.ndarray, int]:
    """Grey levels of RGB; a palette has a depth of its own, and deep data is brought to 16 bits."""
    depth = 8 * stored.dtype.itemsize
    bits = depth if dataset.PhotometricInterpretation == "PALETTE COLOR" else int(dataset.BitsStored)
    if bits > 16:
        stored, bits = stored >> (bits - 16), 16
    return np.minimum(luma(stored), (1 << bits) - 1), bits


def _monochrome(dataset: Dataset, stored: np.ndarray, slot: Slot) -> dict:
    """RawImage fields of monochrome stored values."""
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
    voi, window = read_voi(dataset, np.arange(1 << bits) * slope + intercept)
    return {
        "levels": levels,
        "bits": bits,
        "slope": slope,
        "intercept": intercept,
        "voi": voi,
        "window": window,
        "inverted": dataset.PhotometricInterpretation == "MONOCHROME1",
        "padding": padding,
        "exposure": _is_exposure(dataset),
    }


def _is_exposure(dataset: Dataset) -> bool:
    """Whether this is a raw detector image: linear in the dose, not processed for presentation."""
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

    Invalid values are ignored in a radiograph and raise ValueError in a CT slice, whose units depend on them.
    A CT slice without rescale values must be signed to be in Hounsfield units, else Refused(undecodable).
    """
    holder = functional_group(dataset, "PixelValueTransformationSequence")
    slope, intercept = number(holder.get("RescaleSlope")), number(holder.get("RescaleIntercept"))
    present = [holder.get(keyword) not in (None, "") for keyword in ("RescaleSlope", "RescaleIntercept")]
    if slot is Slot.CT and ((present[0] and not slope) or (present[1] and intercept is None)):
        raise ValueError("the rescale values are malformed")
    if slot is Slot.CT and not any(present) and not dataset.PixelRepresentation:
        raise Refused(RefusalReason.UNDECODABLE, "a CT slice without Hounsfield units")
    return slope or 1.0, intercept or 0.0


def _padding(dataset: Dataset, stored: np.ndarray) -> np.ndarray | None:
    """Pixels that are padding, not image (PS3.3 C.7.5.1.1.2)."""
    value, limit = (number(dataset.get(f"PixelPadding{name}")) for name in ("Value", "RangeLimit"))
    if value is None:
        return None
    low, high = sorted(_as_stored(int(v), dataset) for v in (value, value if limit is None else limit))
    mask = (stored >= low) & (stored <= high)
    return mask if mask.any() and not mask.all() else None


def _as_stored(value: int, dataset: Dataset) -> int:
    """A 16-bit value with the signedness of the pixels, which may differ from that of its VR."""
    if dataset.PixelRepresentation:
        return value - (1 << 16) if value >= 1 << 15 else value
    return value & 0xFFFF if value < 0 else value
