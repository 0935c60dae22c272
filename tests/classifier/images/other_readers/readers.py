"""The image of a DICOM file as dcmtk displays it, decoded by dcmtk or by gdcm: neither code nor formulas of
Hilum."""

from __future__ import annotations

import subprocess
from pathlib import Path

import gdcm
import numpy as np
import pydicom
from PIL import Image
from pydicom import Dataset, uid

from classifier.contract import Slot
from classifier.images.decoded_image import DecodedImage
from classifier.images.dicom.metadata import number

_FULL = 65535
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_HOUNSFIELD = ["+Ww", "1024", "4096"]  # -1024 to 3071
# What the free versions have no codec for.
_JPEG_2000 = {*uid.JPEG2000TransferSyntaxes, uid.HTJ2K, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL}
WITHOUT_CODEC = {"dcmtk": _JPEG_2000, "gdcm": {uid.HTJ2K, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL}}


class NotRead(Exception):
    """The other reader returns no image."""


def header_of(path: Path) -> Dataset:
    return pydicom.dcmread(path, stop_before_pixels=True, force=True)


def shown_by_dcmtk(path: Path, ours: DecodedImage | None, scratch: Path) -> np.ndarray:
    """Brightness 0..65535, float (rows, columns), in the window of the file or, without one, in ours.

    CT from -1024 to 3071 HU. Raises NotRead.
    """
    decoded, target = scratch / "decoded.dcm", scratch / "theirs.png"
    for left in (decoded, target):
        left.unlink(missing_ok=True)
    header = header_of(path)
    if header.file_meta.get("TransferSyntaxUID") in uid.JPEGLSTransferSyntaxes:
        subprocess.run(["dcmdjpls", str(path), str(decoded)], capture_output=True)
        path = decoded
    command = ["dcmj2pnm", "--no-overlays", *_window(header, ours), "+on2", str(path), str(target)]
    done = subprocess.run(command, capture_output=True)
    if done.returncode or not target.exists():
        raise NotRead
    with Image.open(target) as image:
        pixels = np.asarray(image).astype(float)
        deepest = 255 if image.mode in ("L", "RGB") else _FULL
    grey = pixels @ _LUMA if pixels.ndim == 3 else pixels
    return grey * (_FULL / deepest)


def shown_by_gdcm(path: Path, ours: DecodedImage | None, scratch: Path) -> np.ndarray:
    """As `shown_by_dcmtk`, of pixels that gdcm decoded."""
    plain = scratch / "plain.dcm"
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    change = gdcm.ImageChangeTransferSyntax()
    # gdcm writes a header of one kind as it is, whatever it then states.
    implicit = header_of(path).file_meta.get("TransferSyntaxUID") == uid.ImplicitVRLittleEndian
    kind = "ImplicitVRLittleEndian" if implicit else "ExplicitVRLittleEndian"
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, kind)))
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(plain))
    if not reader.Read():
        raise NotRead
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise NotRead
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    if not writer.Write():
        raise NotRead
    return shown_by_dcmtk(plain, ours, scratch)


def _window(header: Dataset, ours: DecodedImage | None) -> list[str]:
    if ours and ours.slot is Slot.CT:
        return _HOUNSFIELD
    if header.get("VOILUTSequence"):
        return ["+Wl", "1"]
    width = number(header.get("WindowWidth"))
    if width is not None and width > 0 and not is_window_unused(header, ours):
        return ["+Wi", "1"]
    colour = header.get("SamplesPerPixel", 1) != 1 or "PALETTE" in str(
        header.get("PhotometricInterpretation")
    )
    if colour or ours is None:
        return []
    center = ours.window_center * ours.slope + ours.intercept
    # Ours runs over width; LINEAR of PS3.3 C.11.2.1.2 over width - 1, around center - 0.5.
    return ["+Ww", f"{center + 0.5:.6f}", f"{ours.window_width * abs(ours.slope) + 1:.6f}"]


def is_window_unused(header: Dataset, ours: DecodedImage | None) -> bool:
    """Whether Hilum used neither a curve nor the window of the header."""
    width = number(header.get("WindowWidth"))
    if ours is None or ours.slot is Slot.CT or "curve_applied" in ours.notes or width is None or width <= 0:
        return False
    return abs(ours.window_width * abs(ours.slope) / width - 1) > 0.01
