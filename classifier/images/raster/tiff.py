"""TIFF files beyond 8 bits: any depth, sign, alpha and layout of planes (TIFF 6.0)."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from classifier.errors import Refused
from classifier.images.raw_image import check_size, luma, over_black
from classifier.reasons import RefusalReason

_WIDTH, _LENGTH, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _EXTRA, _FORMAT = (
    256, 257, 258, 262, 277, 284, 338, 339,
)  # fmt: skip
_SUBFILE, _REDUCED, _MAX_PAGES = 254, 1, 16
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_SEPARATE, _ASSOCIATED, _UNSIGNED = 2, 1, 1
_DEEP = 8


def first_directory(data: bytes) -> ImageFileDirectory_v2:
    """The tags of the first image. Raises Refused for a file of several images, except reduced copies."""
    first = directory = _directory(data, None)
    for _ in range(_MAX_PAGES):
        if not directory.next:
            break
        directory = _directory(data, directory)
        if not directory.get(_SUBFILE, 0) & _REDUCED:
            raise Refused(RefusalReason.UNSUPPORTED_MODALITY, "the file contains several images")
    check_size(int(first[_LENGTH]), int(first[_WIDTH]))
    return first


def is_deep(tags: ImageFileDirectory_v2) -> bool:
    """Whether the samples are grey or RGB and anything but unsigned with up to 8 bits."""
    plain = max(tags.get(_BITS, (1,))) <= _DEEP and set(tags.get(_FORMAT, (1,))) <= {_UNSIGNED, 4}
    return not plain and tags.get(_PHOTOMETRIC) in {_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB}


def deep_levels(data: bytes, tags: ImageFileDirectory_v2) -> tuple[np.ndarray, int]:
    """Levels (H, W) uint16 and their bit depth. Raises ValueError.

    Signed 8-bit values are shifted to 0..255; other signed, 32-bit and fractional values are scaled to
    0..65535, and those that are not finite become the lowest. Transparency is composited over black.
    """
    pixels = imagecodecs.tiff_decode(data, index=0)
    if pixels.ndim == 3 and tags.get(_PLANES) == _SEPARATE:
        pixels = np.moveaxis(pixels, 0, -1)
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.shape[:2] != (tags[_LENGTH], tags[_WIDTH]) or samples != tags.get(_SAMPLES, 1):
        raise ValueError("the image does not have the declared size")
    unsigned, bits = _unsigned(pixels)
    if samples == 1:
        levels = unsigned.reshape(unsigned.shape[:2])
        return (np.uint16((1 << bits) - 1) - levels if tags[_PHOTOMETRIC] == _WHITE_IS_ZERO else levels), bits
    if tags[_PHOTOMETRIC] == _WHITE_IS_ZERO:
        unsigned[..., 0] = np.uint16((1 << bits) - 1) - unsigned[..., 0]
    colours = 3 if tags[_PHOTOMETRIC] == _RGB else 1
    grey = luma(unsigned[..., :3]) if colours == 3 else unsigned[..., 0]
    extra = tags.get(_EXTRA, ())
    if samples == colours or not extra or extra[0] in {0, _ASSOCIATED}:
        return grey, bits
    return over_black(grey, unsigned[..., colours] / np.float32((1 << bits) - 1)), bits


def _directory(data: bytes, previous: ImageFileDirectory_v2 | None) -> ImageFileDirectory_v2:
    tags = ImageFileDirectory_v2(data[: 16 if b"+" in data[2:4] else 8])
    stream = io.BytesIO(data)
    stream.seek((previous or tags).next)
    tags.load(stream)
    return tags


def _unsigned(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """Values as uint16, and their bit depth."""
    if pixels.dtype == np.uint16:
        return pixels, 16
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize == 1:
        return pixels.astype(np.uint16), _DEEP
    if pixels.dtype == np.int8:
        return (pixels.astype(np.int16) + 128).astype(np.uint16), _DEEP
    finite = np.isfinite(pixels)
    if not finite.any():
        raise ValueError("the image contains no finite value")
    low, high = (float(end) for end in (pixels[finite].min(), pixels[finite].max()))
    scaled = (pixels.astype(np.float64) - low) * (65535 / ((high - low) or 1.0))
    return np.rint(np.where(finite, scaled, 0.0)).astype(np.uint16), 16
