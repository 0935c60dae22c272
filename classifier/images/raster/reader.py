"""Reads PNG, JPEG, TIFF and WebP files."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import imagecodecs
import numpy as np
from PIL import ExifTags, Image
from pydicom.uid import JPEGLossless, JPEGLSNearLossless

from classifier.contract import Slot
from classifier.errors import Refused, refuse_broken_bytes
from classifier.images.codestream import Declared, check_end, check_scans, declared
from classifier.images.limits import MAX_PIXELS
from classifier.images.raster.ancillary import with_end_of_image, without_ancillary_chunks
from classifier.images.raster.tiff import deep_levels, first_directory, is_deep
from classifier.images.raw_image import LUNG_WINDOW, RawImage, check_size, digest, luma, over_black
from classifier.reasons import RefusalReason

SYNTHETIC_KEY, SYNTHETIC_TEXT = "Synthetic", "Hilum phantom"
_PNG_DEPTH_AT = 24
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WEBP_ANIMATED = 2
_UNKNOWN_TO_PILLOW = {JPEGLossless, JPEGLSNearLossless}
_DEEP = {"I;16", "I;16L", "I;16B", "I"}
# As in PIL.ImageOps.exif_transpose, which works on open files only.
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Image.MAX_IMAGE_PIXELS = MAX_PIXELS


def format_of(data: bytes) -> str | None:
    """Pillow's name of the format of an image file, by its first bytes; None for other files."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(_TIFF_STARTS):
        return "TIFF"
    return "WEBP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def read_raster(data: bytes, stated_slot: Slot | None = None) -> RawImage:
    """RawImage of an image file; an X-ray by default, or what `stated_slot` is.

    A CT slice without Hounsfield units is assumed to have been exported in the lung window.
    Raises Refused(undecodable | too_large | too_small), and unsupported_modality for several images.
    """
    with warnings.catch_warnings(), refuse_broken():
        warnings.simplefilter("ignore")
        kind, whole = format_of(data), data
        if kind == "PNG":
            whole = without_ancillary_chunks(data)
        elif kind == "JPEG":
            check_scans(data)
            whole = with_end_of_image(data)
        levels, bits, synthetic = _decoded(whole, kind)
    notes: dict[str, Any] = {"end_marker_missing": {}} if kind == "JPEG" and whole is not data else {}
    return _as_source(levels, bits, synthetic, stated_slot, notes)


def _decoded(data: bytes, kind: str | None) -> tuple[np.ndarray, int, bool]:
    """Levels (H, W) uint16, their bit depth, and whether it is a phantom."""
    if kind == "WEBP":
        _check_webp(data)
    if kind == "JPEG" and (unusual := _unusual(data)):
        return _unusual_jpeg(data, unusual), unusual.bits, False
    if kind == "TIFF" and is_deep(tags := first_directory(data)):
        levels, bits = deep_levels(data, tags)
        return _turned(levels, tags.get(ExifTags.Base.Orientation, 1)), bits, False
    with Image.open(io.BytesIO(data), formats=[kind]) as image:
        check_size(image.height, image.width)
        _check_single(image)
        levels, bits = _grey_levels(image, data)
        synthetic = image.info.get(SYNTHETIC_KEY) == SYNTHETIC_TEXT
        return _turned(levels, _orientation(image)), bits, synthetic


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; upright where the EXIF data is broken."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (ValueError, TypeError, SyntaxError, OSError, KeyError, struct.error):
        return 1


@contextmanager
def refuse_broken() -> Iterator[None]:
    """Raise Refused(undecodable | too_large) for whatever Pillow and other decoders raise."""
    with refuse_broken_bytes():
        try:
            yield
        except Image.DecompressionBombError as error:
            raise Refused(RefusalReason.TOO_LARGE, "too many pixels") from error


def _check_webp(data: bytes) -> None:
    """Check the header of a WebP file (RFC 9649 2.5 to 2.7), since Pillow allocates memory on opening."""
    chunk, body = data[12:16], data[20:30]
    if chunk == b"VP8X":
        columns, rows = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (4, 7))
        if body[0] & _WEBP_ANIMATED:
            raise Refused(RefusalReason.UNSUPPORTED_MODALITY, "the file contains several images")
    elif chunk == b"VP8L":
        packed = int.from_bytes(body[1:5], "little")
        columns, rows = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        columns, rows = (side & 0x3FFF for side in struct.unpack("<2H", body[6:10]))
    check_size(rows, columns)


def _check_single(image: Image.Image) -> None:
    """Raise Refused for an animation.

    Extra images in JPEG files are ignored: cameras add depth maps, gain maps and previews.
    """
    if image.format not in {"JPEG", "MPO", "TIFF"} and getattr(image, "is_animated", False):
        raise Refused(RefusalReason.UNSUPPORTED_MODALITY, "the file contains several images")


def _unusual(data: bytes) -> Declared | None:
    """The header of a JPEG file that Pillow does not read: other than 8 bits, lossless, JPEG-LS."""
    try:
        found = declared(data)
    except ValueError:
        return None
    return found if found and (found.bits != 8 or found.syntax in _UNKNOWN_TO_PILLOW) else None


def _unusual_jpeg(data: bytes, found: Declared) -> np.ndarray:
    check_size(found.rows, found.columns)
    check_end(data)
    if found.samples not in {1, 3}:
        raise ValueError("the codestream has neither 1 nor 3 colour components")
    decode = imagecodecs.jpegls_decode if found.syntax == JPEGLSNearLossless else imagecodecs.jpeg_decode
    pixels = decode(data)
    if pixels.shape[:2] != (found.rows, found.columns):
        raise ValueError("the codestream does not have the declared size")
    levels = luma(pixels) if pixels.ndim == 3 else pixels
    return np.minimum(levels, (1 << found.bits) - 1).astype(np.uint16)


def _as_source(
    levels: np.ndarray, bits: int, synthetic: bool, stated_slot: Slot | None, notes: dict[str, Any]
) -> RawImage:
    slot = Slot.PHANTOM if synthetic else Slot.CT if stated_slot is Slot.CT else Slot.CXR
    slope, intercept, window = 1.0, 0.0, None
    if slot is Slot.CT:
        window = LUNG_WINDOW
        slope, intercept = window[1] / ((1 << bits) - 1), window[0] - window[1] / 2
    return RawImage(
        levels=levels,
        bits=bits,
        slot=slot,
        synthetic=synthetic,
        pixel_sha256=digest(levels if bits > 8 else levels.astype(np.uint8)),
        slope=slope,
        intercept=intercept,
        window=window,
        notes=notes,
    )


def _grey_levels(image: Image.Image, data: bytes) -> tuple[np.ndarray, int]:
    """Levels (H, W) uint16 and their bit depth; transparency is composited over black."""
    if image.format == "PNG" and data[_PNG_DEPTH_AT] == 16 and image.mode not in _DEEP:
        return _over_black(imagecodecs.png_decode(data)), 16  # Pillow would cut it to 8 bits
    image.load()
    if image.mode in _DEEP:
        return np.asarray(image).astype(np.uint16), 16
    if image.mode in {"La", "RGBa"}:
        pixels = np.asarray(image)  # premultiplied with opacity, hence already over black
        return (luma(pixels[..., :3]) if image.mode == "RGBa" else pixels[..., 0].astype(np.uint16)), 8
    if "transparency" in image.info or image.mode in {"RGBA", "LA", "PA"}:
        return _over_black(np.asarray(image.convert("RGBA"))), 8
    if image.mode in {"L", "1"}:
        return np.asarray(image.convert("L")).astype(np.uint16), 8
    return luma(np.asarray(image.convert("RGB"))), 8


def _over_black(pixels: np.ndarray) -> np.ndarray:
    """Grey (H, W) uint16 of (H, W, 2..4) with or without alpha as the last channel."""
    grey = luma(pixels[..., :3] if pixels.shape[2] > 2 else pixels[..., [0, 0, 0]])
    if pixels.shape[2] == 3:
        return grey
    return over_black(grey, pixels[..., -1] / np.float32(np.iinfo(pixels.dtype).max))


def _turned(levels: np.ndarray, orientation: int) -> np.ndarray:
    """`levels` as the camera's EXIF orientation (1 to 8) wants them seen."""
    method = _ORIENTATIONS.get(orientation)
    return levels if method is None else np.asarray(Image.fromarray(levels).transpose(method))
