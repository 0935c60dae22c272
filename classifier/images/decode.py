"""DICOM pixel data to an array of stored values, for every transfer syntax that has a free decoder."""

from __future__ import annotations

import imagecodecs
import numpy as np
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, get_decoder, pixel_array
from pydicom.uid import (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

from classifier.contract import RefusalReason
from classifier.errors import Refused, undecodable_if_broken
from classifier.images.codestream import declared_size

_LOSSY_JPEG = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless}
_END_OF_IMAGE = b"\xff\xd9"
_QUICKEST = {"pylibjpeg": 0, "pyjpegls": 1, "pillow": 2, "gdcm": 3}


def stored_values(dataset: Dataset) -> np.ndarray:
    """Stored values (rows, columns) of the only frame, or RGB (rows, columns, 3) for colour.

    A lossy codec may overshoot the stored bits: values are clipped to them, never masked.
    Raises Refused(undecodable).
    """
    with undecodable_if_broken():
        _check_codestream(dataset)
        pixels = _decoded(dataset)
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            return apply_color_lut(pixels, dataset)[..., :3]
        return _clipped(pixels, dataset) if pixels.ndim == 2 else pixels


def _decoded(dataset: Dataset) -> np.ndarray:
    syntax = dataset.file_meta.TransferSyntaxUID
    # Unused high bits of raw data may hold overlays: masked; those of lossy data are overshoot.
    options = {"index": 0, "correct_unused_bits": syntax not in _LOSSY_JPEG}
    if not syntax.is_encapsulated:
        return pixel_array(dataset, **options)
    refusal = Refused(RefusalReason.UNDECODABLE, "no decoder")
    available = get_decoder(syntax).available_plugins
    for plugin in sorted(available, key=lambda name: _QUICKEST.get(name, len(_QUICKEST))):
        try:
            with undecodable_if_broken():
                return pixel_array(dataset, decoding_plugin=plugin, **options)
        except Refused as refused:
            refusal = refused
    if syntax not in JPEGTransferSyntaxes or dataset.SamplesPerPixel != 1:
        raise refusal
    return _jpeg_of_any_kind(dataset)


def _jpeg_of_any_kind(dataset: Dataset) -> np.ndarray:
    """12-bit JPEG with a scan header that no plugin of pydicom accepts."""
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    _check_end(frame)  # this decoder fills up with grey what is missing of a stream
    pixels = imagecodecs.jpeg_decode(frame)
    if pixels.shape != (dataset.Rows, dataset.Columns):
        raise ValueError("the codestream is not of the declared size")
    return pixels.view(pixels.dtype.str.replace("u", "i")) if dataset.PixelRepresentation else pixels


def _check_codestream(dataset: Dataset) -> None:
    """Raise ValueError before decoding where the compressed picture declares another size than the header."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax in JPEGLSTransferSyntaxes:
        _check_end(frame)  # CharLS, behind every decoder of it, counts for seconds past an odd end
    size = declared_size(frame)
    if size is not None and size != (dataset.Rows, dataset.Columns):
        raise ValueError("the codestream is not of the declared size")


def _check_end(frame: bytes) -> None:
    # A padding byte that is not zero may follow the marker.
    if _END_OF_IMAGE not in frame.rstrip(b"\0")[-4:]:
        raise ValueError("the codestream breaks off")


def _clipped(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    low, count = 0, 1 << dataset.BitsStored
    if dataset.PixelRepresentation:
        low = -count // 2
    high = low + count - 1
    info = np.iinfo(pixels.dtype)
    if low <= info.min and high >= info.max:
        return pixels
    return np.clip(pixels, max(low, info.min), min(high, info.max))
