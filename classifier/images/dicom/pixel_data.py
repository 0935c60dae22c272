"""Decodes DICOM pixel data to stored values, for every transfer syntax with a free decoder."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, convert_color_space, get_decoder, pixel_array

from classifier.errors import Refused, refuse_broken_bytes
from classifier.images.codestream import Declared, check_end, check_scans, declared, syntax_of, unboxed
from classifier.images.dicom.metadata import number
from classifier.images.dicom.voi_lut import lut_entries
from classifier.reasons import PIXELS_EXTRA, PIXELS_MISSING, RefusalReason

_LOSSY_JPEG = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit}
_LOSSLESS = {
    uid.RLELossless,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
}
_FAMILIES = (
    _LOSSY_JPEG,
    {uid.JPEGLossless, uid.JPEGLosslessSV1},
    set(uid.JPEGLSTransferSyntaxes),
    set(uid.JPEG2000TransferSyntaxes),
)
_SMOOTH, _MUCH_SMOOTHER, _GREYER = 0.05, 2.0, 0.2
_ITEM = b"\xfe\xff\0\xe0"
_FASTEST = {"pylibjpeg": 0, "pyjpegls": 1, "pillow": 2, "gdcm": 3}


def stored_values(dataset: Dataset) -> np.ndarray:
    """Stored values (rows, columns) of the only frame, or RGB (rows, columns, 3) for colour.

    A lossy codec may overshoot the stored bits: values are clipped to them, never masked. Missing and wrong
    attributes of `dataset` are corrected in place. Raises Refused(undecodable).
    """
    with refuse_broken_bytes():
        unstated = number(dataset.get("BitsStored")) is None and number(dataset.get("HighBit")) is None
        _complete(dataset)
        pixels = _decompressed(dataset) if _is_encapsulated(dataset) else _raw(dataset)
        if pixels.ndim == 3 and dataset.PhotometricInterpretation != "PALETTE COLOR":
            pixels = _rgb(pixels, dataset)
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            if pixels.ndim != 2:
                raise ValueError("a palette with several samples per pixel")
            return _apply_palette(pixels, dataset)
        if unstated and pixels.ndim == 2 and not dataset.PixelRepresentation:
            dataset.BitsStored = max(int(pixels.max()).bit_length(), 8)
        return _clipped(pixels, dataset) if pixels.ndim == 2 else pixels


def _is_encapsulated(dataset: Dataset) -> bool:
    """Whether the pixel data is in fragments, whatever the transfer syntax states.

    Native pixel data under a compressed transfer syntax is marked as little endian, as it is written.
    """
    element, native = dataset["PixelData"], _native_bytes(dataset)
    if element.is_undefined_length:
        return True
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return False
    if element.value.startswith(_ITEM) or len(element.value) < native:
        return True
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return False


def _native_bytes(dataset: Dataset) -> int:
    """The length of the frame without compression, by the header."""
    samples = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel
    return -(-samples * dataset.BitsAllocated // 8)


def _complete(dataset: Dataset) -> None:
    """Add attributes that some writers omit, and remove those that a single frame does not need.

    Numbers that were written as text become numbers. Raises ValueError.
    """
    defaults = {"SamplesPerPixel": 1, "PixelRepresentation": 0, "BitsAllocated": None}
    defaults |= {"Rows": None, "Columns": None, "PlanarConfiguration": None}
    for keyword, default in defaults.items():
        _set_number(dataset, keyword, default)
    high_bit = number(dataset.get("HighBit"))
    _set_number(dataset, "BitsStored", int(dataset.BitsAllocated if high_bit is None else high_bit + 1))
    _set_number(dataset, "HighBit", int(dataset.BitsStored) - 1)
    if not 1 <= int(dataset.BitsStored) <= 32:
        raise ValueError("BitsStored is not between 1 and 32")
    stated = "".join(str(dataset.get("PhotometricInterpretation") or "").replace("\0", " ").upper().split())
    stated = "PALETTE COLOR" if stated == "PALETTECOLOR" else stated
    dataset.PhotometricInterpretation = stated or ("MONOCHROME2" if dataset.SamplesPerPixel == 1 else "")
    if dataset.SamplesPerPixel > 1 and dataset.get("PlanarConfiguration") is None:
        dataset.PlanarConfiguration = 0
    for keyword in ("NumberOfFrames", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            del dataset[keyword]


def _set_number(dataset: Dataset, keyword: str, default: int | None) -> None:
    """Make an attribute of VR US an integer, whichever VR it was written with; `default` where it is none."""
    found = number(dataset.get(keyword))
    value = default if found is None else int(found)
    if keyword in dataset:
        del dataset[keyword]
    if value is not None:
        setattr(dataset, keyword, value)


def _raw(dataset: Dataset) -> np.ndarray:
    length, declared_length = len(dataset.PixelData), _native_bytes(dataset)
    if length < declared_length and dataset.PhotometricInterpretation != "YBR_FULL_422":
        raise Refused(RefusalReason.UNDECODABLE, PIXELS_MISSING)
    if length >= 2 * declared_length:
        # Another depth, colour or several frames: which, the header does not settle.
        raise Refused(RefusalReason.UNDECODABLE, PIXELS_EXTRA)
    if int(dataset.BitsAllocated) not in {1, 8, 16, 32}:
        raise ValueError("BitsAllocated is not 1, 8, 16 or 32")
    whole = dataset.Rows * dataset.Columns * 3 * int(dataset.BitsAllocated) // 8
    if dataset.PhotometricInterpretation == "YBR_FULL_422" and len(dataset.PixelData) >= whole:
        dataset.PhotometricInterpretation = "YBR_FULL"  # the chroma is not subsampled, despite the header
    subsampled = dataset.PhotometricInterpretation == "YBR_FULL_422"
    pixels = pixel_array(dataset, index=0, correct_unused_bits=False, raw=not subsampled)
    if subsampled:
        dataset.PhotometricInterpretation = "RGB"
    allocated, stored = 8 * pixels.dtype.itemsize, int(dataset.BitsStored)
    if pixels.ndim != 2 or not 1 <= stored < allocated or int(dataset.BitsAllocated) == 1:
        return pixels
    spare = int(dataset.get("HighBit") or 0) + 1 - stored
    # By HighBit, the stored bits are the upper ones of the word; with some writers they are not.
    if 0 < spare <= allocated - stored and (pixels.astype(np.int64) & -(1 << stored)).any():
        pixels = pixels >> spare
    return _stored_bits(pixels, dataset)


def _rgb(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """RGB of colours as they were decoded: YCbCr or RGB, by the header unless it is certainly wrong.

    A JPEG without JFIF or Adobe marker does not state which it is, and many headers are wrong. A radiograph
    has next to no colour: the reading with far less colour is the right one.
    """
    is_ycbcr = dataset.PhotometricInterpretation in {"YBR_FULL", "YBR_FULL_422"}
    if pixels.dtype == np.uint8:
        sample = pixels[:: 1 + pixels.shape[0] // 256, :: 1 + pixels.shape[1] // 256]
        as_is, converted = _colourfulness(sample), _colourfulness(_from_ycbcr(sample))
        stated, other = (converted, as_is) if is_ycbcr else (as_is, converted)
        is_ycbcr = is_ycbcr != (other < _GREYER * stated)
    return _from_ycbcr(pixels) if is_ycbcr else pixels


def _from_ycbcr(pixels: np.ndarray) -> np.ndarray:
    return convert_color_space(pixels, "YBR_FULL", "RGB")


def _colourfulness(rgb: np.ndarray) -> float:
    """Mean difference between the channels, 0 for grey."""
    return float(np.ptp(rgb.astype(np.int16), axis=-1).mean())


def _stored_bits(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Values without overlays in the bits above the stored ones (PS3.5 8.1.1).

    Where the image itself uses those bits, the header is wrong, and BitsStored is corrected.
    """
    stored, top, bottom = int(dataset.BitsStored), int(pixels.max()), int(pixels.min())
    alone = _sign_extended(pixels, stored)
    within = bottom >= 0 and top >> stored == 0
    if within or not _uses_upper_bits(pixels, alone, stored):
        return alone
    dataset.BitsStored = max(top, -1 - bottom).bit_length() + int(dataset.PixelRepresentation)
    return pixels


def _uses_upper_bits(pixels: np.ndarray, alone: np.ndarray, bits: int) -> bool:
    """Whether `pixels` are smooth where their lowest `bits`, `alone`, overflow.

    With overlays at most 3 % of the differing steps between neighbours are small, by chance; in an image
    that was cut at too few bits it is 9 % or more.
    """
    rows = slice(None, None, 1 + len(pixels) // 1000)
    whole, less = (np.abs(np.diff(p[rows].astype(np.int64), axis=1)) for p in (pixels, alone))
    differ = whole != less
    if not differ.any():
        return False
    smooth = (whole[differ] < (1 << bits) / 4).mean()
    if pixels.dtype.kind == "i" and -(1 << bits - 1) <= pixels.min() and pixels.max() >> bits == 0:
        # Every value is one of the stated bits, with its sign extended or not: the header may well be right.
        return smooth > _MUCH_SMOOTHER * (less[differ] < (1 << bits) / 4).mean()
    return smooth > _SMOOTH


def _sign_extended(pixels: np.ndarray, bits: int) -> np.ndarray:
    """The lowest `bits` of each value, sign-extended, in the type of `pixels`."""
    spare = 8 * pixels.dtype.itemsize - bits
    return pixels << spare >> spare if spare > 0 else pixels


def _decompressed(dataset: Dataset) -> np.ndarray:
    stream = _stream(dataset)
    found = declared(stream)
    _check(found, stream, dataset)
    _correct_syntax(dataset, stream)
    dataset.PixelData = encapsulate([stream], has_bot=False)
    dataset["PixelData"].is_undefined_length = True
    stored = int(dataset.BitsStored)
    if found:
        # Decoders trust the header and fail where the codestream has more bits.
        dataset.BitsStored = max(stored, found.bits)
    pixels = _decoded(dataset, stream)
    dataset.BitsStored = stored
    if pixels.ndim != 2:
        return pixels
    if dataset.file_meta.TransferSyntaxUID in _LOSSLESS:
        return _stored_bits(pixels, dataset)
    return _signed_lossy(pixels, dataset, found.bits if found else stored)


def _signed_lossy(pixels: np.ndarray, dataset: Dataset, bits: int) -> np.ndarray:
    """Lossy values with their sign; `bits` is the bit depth of the codestream."""
    stored, signed = int(dataset.BitsStored), int(dataset.PixelRepresentation)
    if signed:
        pixels = _sign_extended(pixels, bits)
        if pixels.min() >= 0 and int(pixels.max()) >> stored - 1 == 1:
            pixels = _sign_extended(pixels, stored)
    # A lossy codec overshoots a little; beyond twice the range, the header is wrong.
    if max(int(pixels.max()), -1 - int(pixels.min())) >> stored + 1 - signed:
        dataset.BitsStored = bits
    return pixels


def _stream(dataset: Dataset) -> bytes:
    """The codestream of the only frame, from all fragments; the offset table is ignored."""
    data = dataset.PixelData
    if not data.startswith(_ITEM):
        raise ValueError("the fragments do not start with an offset table")
    fragments, at = [], 0
    # Whatever is no item ends the sequence: some writers close it with zeros or the wrong delimiter.
    while data.startswith(_ITEM, at):
        (length,) = struct.unpack_from("<L", data, at + 4)
        fragments.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    return unboxed(b"".join(fragments[1:]))


def _check(found: Declared | None, stream: bytes, dataset: Dataset) -> None:
    """Raise ValueError, before decoding, for a codestream that contradicts the header."""
    if found is None:
        return
    if found.syntax in uid.JPEGLSTransferSyntaxes:
        check_end(stream)  # CharLS, used by all JPEG-LS decoders, runs for seconds past a missing end
    if found.syntax in _LOSSY_JPEG:
        check_scans(stream)
    if found[:3] != (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel):
        raise ValueError("the codestream does not have the declared size")
    if found.bits > 16:
        raise ValueError("the codestream has more than 16 bits per sample")
    if found.bits > dataset.BitsAllocated:
        dataset.BitsAllocated, dataset.BitsStored = 16, found.bits


def _correct_syntax(dataset: Dataset, stream: bytes) -> None:
    """Replace a transfer syntax that contradicts the codestream."""
    stated, actual = dataset.file_meta.TransferSyntaxUID, syntax_of(stream)
    if actual is not None and not any({stated, actual} <= family for family in _FAMILIES):
        dataset.file_meta.TransferSyntaxUID = actual


def _decoded(dataset: Dataset, stream: bytes) -> np.ndarray:
    syntax = dataset.file_meta.TransferSyntaxUID
    refusal = Refused(RefusalReason.UNDECODABLE, "no decoder for this transfer syntax")
    available = get_decoder(syntax).available_plugins
    for plugin in sorted(available, key=lambda name: _FASTEST.get(name, len(_FASTEST))):
        try:
            with refuse_broken_bytes():
                return pixel_array(
                    dataset, index=0, decoding_plugin=plugin, correct_unused_bits=False, raw=True
                )
        except Refused as refused:
            refusal = refused
    if syntax not in _LOSSY_JPEG or dataset.SamplesPerPixel != 1:
        raise refusal
    return _unusual_jpeg(dataset, stream)


def _unusual_jpeg(dataset: Dataset, stream: bytes) -> np.ndarray:
    """Progressive JPEG, and 12-bit JPEG with a scan header that no pydicom plugin accepts."""
    check_end(stream)  # this decoder fills missing data with grey
    pixels = imagecodecs.jpeg_decode(stream)
    if pixels.shape != (dataset.Rows, dataset.Columns):
        raise ValueError("the codestream does not have the declared size")
    return pixels.view(pixels.dtype.str.replace("u", "i")) if dataset.PixelRepresentation else pixels


def _clipped(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    low, count = 0, 1 << dataset.BitsStored
    if dataset.PixelRepresentation:
        low = -count // 2
    high = low + count - 1
    info = np.iinfo(pixels.dtype)
    if low <= info.min and high >= info.max:
        return pixels
    return np.clip(pixels, max(low, info.min), min(high, info.max))


def _apply_palette(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """RGB (rows, columns, 3) uint8 or uint16 of `pixels` (PS3.3 C.7.6.3.1.5), in the full range of its type.

    Values outside the table take its nearest end. Tables with 8-bit entries in 16-bit words are common and
    treated as 8-bit. Raises ValueError.
    """
    if "RedPaletteColorLookupTableData" not in dataset:
        return apply_color_lut(pixels, dataset)[..., :3]  # segmented
    tables, first = [], 0
    for colour in ("Red", "Green", "Blue"):
        stem = f"{colour}PaletteColorLookupTable"
        count, first, _ = (int(v) for v in dataset[f"{stem}Descriptor"].value)
        tables.append(lut_entries(dataset[f"{stem}Data"].value, count or 1 << 16, dataset))
    if dataset.PixelRepresentation and first >= 1 << 15:
        first -= 1 << 16
    lengths = {len(table) for table in tables}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError("a palette is malformed")
    at = np.clip(pixels.astype(np.int64) - first, 0, len(tables[0]) - 1)
    rgb = np.stack([table[at] for table in tables], axis=-1)
    return rgb.astype(np.uint16 if max(int(table.max()) for table in tables) > 255 else np.uint8)
