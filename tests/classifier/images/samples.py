"""Image files made in code: a schematic chest, written as whatever a test needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pydicom import Dataset, FileDataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

RAW = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
LOSSLESS = (RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless)
LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K)

_ENCODERS = {
    JPEGLossless: lambda a, bits: _lossless_jpeg(a, bits, predictor=6),
    JPEGLosslessSV1: lambda a, bits: _lossless_jpeg(a, bits, predictor=1),
    JPEGBaseline8Bit: lambda a, bits: imagecodecs.jpeg_encode(a, level=98),
    JPEGExtended12Bit: lambda a, bits: imagecodecs.jpeg_encode(a, level=98, bitspersample=bits),
    JPEGLSLossless: lambda a, bits: imagecodecs.jpegls_encode(a),
    JPEGLSNearLossless: lambda a, bits: imagecodecs.jpegls_encode(a, level=2),
    JPEG2000Lossless: lambda a, bits: imagecodecs.jpeg2k_encode(a, codecformat="j2k", bitspersample=bits),
    JPEG2000: lambda a, bits: imagecodecs.jpeg2k_encode(a, level=60, codecformat="j2k", bitspersample=bits),
    HTJ2KLossless: lambda a, bits: imagecodecs.htj2k_encode(a),
    HTJ2K: lambda a, bits: imagecodecs.htj2k_encode(a),
}


def _lossless_jpeg(pixels: np.ndarray, bits: int, predictor: int) -> bytes:
    return imagecodecs.jpeg_encode(pixels, lossless=True, predictor=predictor, bitspersample=bits)


def chest(rows: int = 96, columns: int = 80, top: int = 4095) -> np.ndarray:
    """A schematic frontal chest, uint16 (rows, columns) in 0..top: bright spine and abdomen, dark lungs."""
    down, across = np.mgrid[0:rows, 0:columns]
    across = np.abs((across + 0.5) / columns * 2 - 1)
    down = (down + 0.5) / rows
    grey = 0.45 + 0.35 * np.exp(-((across / 0.2) ** 2)) + 0.4 * (down > 0.75)
    grey -= 0.45 * (((across - 0.4) / 0.25) ** 2 + ((down - 0.42) / 0.3) ** 2 < 1)
    grey -= 0.5 * (across > 0.92) + 0.4 * (across > 0.6) * (down < 0.1)
    ribs = 0.04 * np.sin(down * 60)
    return np.round(np.clip(grey + ribs, 0, 1) * top).astype(np.uint16)


def dataset(
    pixels: np.ndarray, *, syntax: UID = ExplicitVRLittleEndian, bits: int | None = None, **attributes: Any
) -> FileDataset:
    """A CR data set around `pixels` (H, W) or (H, W, 3), encoded as `syntax`; `attributes` by keyword."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = attributes.get("SOPClassUID", ComputedRadiographyImageStorage)
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = meta.MediaStorageSOPClassUID, "1.2.3.4", "CR"
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    made.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated = 8 * pixels.dtype.itemsize
    made.BitsStored = bits or made.BitsAllocated
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    _put_pixels(made, pixels, syntax)
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def _put_pixels(made: Dataset, pixels: np.ndarray, syntax: UID) -> None:
    word = "OW" if made.BitsAllocated > 8 else "OB"
    if not syntax.is_encapsulated:
        order = "<" if syntax.is_little_endian else ">"
        raw = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(order)).tobytes()
        made.add_new("PixelData", word, raw + b"\0" * (len(raw) % 2))
    elif syntax == RLELossless:
        made.PixelData = pixels.tobytes()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.compress(RLELossless)
    else:
        made.PixelData = encapsulate([bytes(_ENCODERS[syntax](pixels, made.BitsStored))])
        made["PixelData"].VR = "OB"
        made["PixelData"].is_undefined_length = True


def write(path: Path, made: Dataset) -> Path:
    syntax = made.file_meta.TransferSyntaxUID
    dcmwrite(
        path,
        made,
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        enforce_file_format=True,
    )
    return path


def ct_slice(rows: int = 96, columns: int = 80) -> np.ndarray:
    """Stored values int16 of a round body (40 HU) with two lungs (-850 HU) in air, for intercept 0."""
    down, across = np.mgrid[0:rows, 0:columns]
    across, down = (across + 0.5) / columns * 2 - 1, (down + 0.5) / rows * 2 - 1
    body = np.where(across**2 + down**2 < 0.8, 40, -1000)
    lungs = ((np.abs(across) - 0.4) / 0.25) ** 2 + (down / 0.45) ** 2 < 1
    return np.where(lungs, -850, body).astype(np.int16)


CT = {"Modality": "CT", "SOPClassUID": CTImageStorage, "RescaleSlope": "1", "RescaleIntercept": "0"}
