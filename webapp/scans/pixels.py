"""A scan's grey levels as a viewer takes them, and how large a pixel is."""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from webapp.core import storage
from webapp.scans.models import Scan

if TYPE_CHECKING:
    import numpy as np

# In millimetres; what lies outside was given in another unit, or filled in with anything.
LEAST, MOST = 0.01, 5.0
SLICES = ("CT", "MR", "PT")
CALIBRATED = ("GEOMETRY", "FIDUCIAL")  # PixelSpacingCalibrationType
DIRECTION = re.compile("[LRAPHF]{1,3}")
THUMBNAIL_SIDE = 176  # two pixels of a fine screen for each of the largest place that shows one
THUMBNAILS_KEPT = 512  # by each process, of some twenty kilobytes


@dataclass(frozen=True)
class Spacing:
    """Distance of pixel centres in mm, down and across: at the `detector` (or on the scanned film), corrected
    to the `patient`, or in a plane that is `unstated`.
    """

    row: float
    column: float
    at: str


def grey_levels(scan: Scan) -> bytes:
    """The display image: unsigned 16-bit little-endian grey levels, row by row, the modality LUT applied.

    Raises FileNotFoundError when the file is missing, ValueError when it is not the scan's image.
    """
    # A decoder and its arrays: loaded when an image is first asked for, not with every process.
    from imagecodecs import PngError, png_decode

    with storage.open_file(scan.display_name) as file:
        encoded = file.read()
    try:
        levels = png_decode(encoded)
    except PngError as error:
        raise ValueError("the display image is damaged") from error
    if levels.dtype != "uint16" or levels.shape != (scan.rows, scan.columns):
        raise ValueError(f"the display image is {levels.dtype} {levels.shape}")
    return levels.astype("<u2", copy=False).tobytes()


def windowed(scan: Scan, width: float, level: float) -> np.ndarray:
    """The display image (rows, columns) in a window of display values, uint8; raises as `grey_levels`."""
    import numpy as np

    levels = np.frombuffer(grey_levels(scan), dtype="<u2").reshape(scan.rows, scan.columns)
    low = level - width / 2
    shown: np.ndarray = np.rint(255 * np.clip((levels - low) / max(width, 1e-6), 0, 1)).astype(np.uint8)
    return shown


@lru_cache(maxsize=THUMBNAILS_KEPT)
def thumbnail(preview_name: str) -> bytes:
    """The stored preview as a small PNG. Raises FileNotFoundError, or ValueError where it is damaged.

    A preview's name is that of one attempt: what is stored under it never changes.
    """
    from PIL import Image, UnidentifiedImageError

    small = io.BytesIO()
    try:
        with storage.open_file(preview_name) as file, Image.open(file, formats=["PNG"]) as preview:
            preview.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), reducing_gap=2.0)
            preview.save(small, "PNG")
    except FileNotFoundError:
        raise
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError("the preview is damaged") from error
    return small.getvalue()


def orientation_of(scan: Scan) -> list[str] | None:
    """Directions of the displayed image's rows and columns (PatientOrientation, PS3.3 C.7.6.1.1.1), such as
    ["L", "F"]; None where the header does not state both.
    """
    if scan.notes.get("turned"):
        return ["L", "F"]  # upright, with the patient's left on the right
    stored = scan.metadata.get("PatientOrientation")
    if not isinstance(stored, list) or len(stored) != 2:
        return None
    directions = [str(value or "").strip().upper() for value in stored]
    return directions if all(DIRECTION.fullmatch(one) for one in directions) else None


def spacing_of(scan: Scan) -> Spacing | None:
    """The size of a displayed pixel by the file's header, None where it is missing or implausible.

    The displayed image may have been turned and brought to square pixels. Of a projection, PixelSpacing holds
    in the patient only where PixelSpacingCalibrationType states how it was calibrated, or where it differs
    from the spacing at the detector (PS3.3 10.7.1.3); alone it may be either. Of a slice it always holds in
    the patient.
    """
    stated, imager, scanned = (
        _pair(scan.metadata.get(keyword))
        for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
    )
    plane = imager or scanned
    if stated is None:
        return _displayed(plane, scan, at="detector") if plane else None
    if (
        scan.metadata.get("Modality") in SLICES
        or scan.metadata.get("PixelSpacingCalibrationType") in CALIBRATED
    ):
        return _displayed(stated, scan, at="patient")
    if plane is None:
        return _displayed(stated, scan, at="unstated")
    return _displayed(stated, scan, at="detector" if stated == plane else "patient")


def _displayed(stored: tuple[float, float], scan: Scan, at: str) -> Spacing:
    """The spacing of the displayed image, from that of the stored one."""
    row, column = reversed(stored) if scan.notes.get("turned", {}).get("transposed") else stored
    if squared := scan.notes.get("square_pixels"):
        row, column = row * squared["rows"] / scan.rows, column * squared["columns"] / scan.columns
    return Spacing(row, column, at)


def _pair(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    if not all(isinstance(side, int | float) and math.isfinite(side) for side in value):
        return None
    row, column = map(float, value)
    return (row, column) if min(row, column) >= LEAST and max(row, column) <= MOST else None
