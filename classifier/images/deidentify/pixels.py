"""Pixel data rewritten from the decoded samples, so that nothing else of the old bytes is left.

Codestreams have comments, application segments and unused tables, native data may be longer than the image,
and palettes, offset tables and bits above the stored ones hold what nobody sees.
"""

from __future__ import annotations

import numpy as np
from pydicom import Dataset, uid

from classifier.errors import Refused
from classifier.images.dicom.metadata import number
from classifier.images.dicom.pixel_data import stored_values
from classifier.images.dicom.routing import slot_of
from classifier.images.raw_image import check_size
from classifier.reasons import RefusalReason

_LOSSY = {
    uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K,
}  # fmt: skip
_IMAGE_GROUP, _PALETTE_ELEMENTS = 0x0028, range(0x1100, 0x1300)


def rewrite_pixels(dataset: Dataset) -> None:
    """Replace the pixel data by its samples: uncompressed as before, compressed ones as lossless JPEG-LS.

    The samples of the only frame are the same; palettes become RGB. A lossy image stays marked as lossy
    (PS3.3 C.7.6.1.1.5). Raises Refused with any reason but too_uniform.
    """
    slot_of(dataset)
    for keyword in ("Rows", "Columns", "BitsAllocated"):
        if number(dataset.get(keyword)) is None:
            raise Refused(RefusalReason.UNDECODABLE, f"{keyword} is missing or no number")
    check_size(int(dataset.Rows), int(dataset.Columns))
    frames = "NumberOfFrames" in dataset
    stated = dataset.file_meta.TransferSyntaxUID
    stored = stored_values(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    _describe(dataset, stored)
    if frames:
        dataset.NumberOfFrames = 1
    if {stated, syntax} & _LOSSY:
        dataset.LossyImageCompression = "01"
    _write(dataset, stored, compressed=syntax.is_encapsulated)


def _describe(dataset: Dataset, stored: np.ndarray) -> None:
    """The attributes of the Image Pixel module (PS3.3 C.7.6.3) for the samples as they were decoded."""
    bits = 8 * stored.dtype.itemsize
    if stored.ndim == 3:
        palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
        dataset.BitsStored = bits if palette else min(int(dataset.BitsStored), bits)
        for element in list(dataset.group_dataset(_IMAGE_GROUP)):
            if element.tag.element in _PALETTE_ELEMENTS:
                del dataset[element.tag]
    dataset.SamplesPerPixel = 1 if stored.ndim == 2 else stored.shape[2]
    dataset.BitsAllocated = bits
    dataset.BitsStored = min(int(dataset.BitsStored), bits)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")


def _write(dataset: Dataset, stored: np.ndarray, *, compressed: bool) -> None:
    little = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<"))
    raw = little.tobytes()
    del dataset["PixelData"]
    dataset.add_new("PixelData", "OB" if stored.dtype.itemsize == 1 else "OW", raw + bytes(len(raw) % 2))
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    if compressed and _suits_jpeg_ls(dataset, stored):
        dataset.compress(uid.JPEGLSLossless, little, generate_instance_uid=False)


def _suits_jpeg_ls(dataset: Dataset, stored: np.ndarray) -> bool:
    """Whether every sample is a number of BitsStored bits, as the encoder takes them (signed ones it does not
    extend)."""
    bits = int(dataset.BitsStored)
    if stored.dtype.itemsize > 2 or (stored.dtype.kind == "i" and bits < 8 * stored.dtype.itemsize):
        return False
    return bits >= 2 and (stored.dtype.kind == "i" or int(stored.max()) >> bits == 0)
