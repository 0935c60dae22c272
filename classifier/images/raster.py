"""PNG and JPEG files."""

from __future__ import annotations

import io
import warnings

import imagecodecs
import numpy as np
from PIL import ExifTags, Image

from classifier.contract import RefusalReason, Slot
from classifier.errors import Refused, undecodable_if_broken
from classifier.images.limits import MAX_PIXELS
from classifier.images.source import LUNG_WINDOW, Source, check_size, digest, luma

SYNTHETIC_KEY, SYNTHETIC_TEXT = "Synthetic", "Hilum phantom"
_PNG_DEPTH_AT = 24

Image.MAX_IMAGE_PIXELS = MAX_PIXELS


def read_raster(data: bytes, claimed: Slot | None = None) -> Source:
    """Source of a PNG or JPEG file; `claimed` says whether it is an X-ray (default) or a CT slice.

    A CT slice without Hounsfield units is taken to have been exported in the lung window.
    Raises Refused(undecodable | too_large | too_small).
    """
    with warnings.catch_warnings(), undecodable_if_broken():
        warnings.simplefilter("ignore")
        with _opened(data) as image:
            check_size(image.height, image.width)
            levels, bits = _grey_levels(image, data)
            levels = _turned(levels, image.getexif().get(ExifTags.Base.Orientation, 1))
            synthetic = image.info.get(SYNTHETIC_KEY) == SYNTHETIC_TEXT
    return _as_source(levels, bits, synthetic, claimed)


def _opened(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=["PNG", "JPEG"])
    except Image.DecompressionBombError as error:
        raise Refused(RefusalReason.TOO_LARGE, "declares too many pixels") from error


def _as_source(levels: np.ndarray, bits: int, synthetic: bool, claimed: Slot | None) -> Source:
    slot = Slot.PHANTOM if synthetic else Slot.CT if claimed is Slot.CT else Slot.CXR
    slope, intercept, window = 1.0, 0.0, None
    if slot is Slot.CT:
        window = LUNG_WINDOW
        slope, intercept = window[1] / ((1 << bits) - 1), window[0] - window[1] / 2
    return Source(
        levels=levels,
        bits=bits,
        slot=slot,
        synthetic=synthetic,
        pixel_sha256=digest(levels if bits > 8 else levels.astype(np.uint8)),
        slope=slope,
        intercept=intercept,
        window=window,
    )


def _grey_levels(image: Image.Image, data: bytes) -> tuple[np.ndarray, int]:
    """Levels (H, W) uint16 and their depth in bits; what is transparent lies over black."""
    image.load()
    if image.mode == "I;16":
        return np.asarray(image).astype(np.uint16, copy=False), 16
    if image.format == "PNG" and data[_PNG_DEPTH_AT] == 16:
        # Pillow would cut 16-bit colour down to 8 bits, which turns a 12-bit picture black.
        return _over_black(imagecodecs.png_decode(data)), 16
    if "transparency" in image.info or image.mode in {"RGBA", "LA", "PA"}:
        return _over_black(np.asarray(image.convert("RGBA"))), 8
    if image.mode in {"L", "1"}:
        return np.asarray(image.convert("L")).astype(np.uint16), 8
    return luma(np.asarray(image.convert("RGB"))), 8


def _over_black(pixels: np.ndarray) -> np.ndarray:
    """Grey (H, W) uint16 of (H, W, 2..4) with or without alpha as the last channel."""
    colours = pixels[..., :3] if pixels.shape[2] > 2 else pixels[..., [0, 0, 0]]
    grey = luma(colours)
    if pixels.shape[2] == 3:
        return grey
    opacity = pixels[..., -1] / np.float32(np.iinfo(pixels.dtype).max)
    return np.rint(grey * opacity).astype(np.uint16)


def _turned(levels: np.ndarray, orientation: int) -> np.ndarray:
    """`levels` as the camera's EXIF orientation (1 to 8) wants them seen."""
    match orientation:
        case 2:
            levels = levels[:, ::-1]
        case 3:
            levels = levels[::-1, ::-1]
        case 4:
            levels = levels[::-1]
        case 5:
            levels = levels.T
        case 6:
            levels = np.rot90(levels, -1)
        case 7:
            levels = levels[::-1, ::-1].T
        case 8:
            levels = np.rot90(levels)
    return np.ascontiguousarray(levels)
