"""Healthy files of every kind, made by code, and others from folders: what the mutants are made of."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom import Dataset, Sequence
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from classifier.images.archive.listing import is_archive
from classifier.images.dicom.header import is_dicom
from classifier.images.raster.reader import SYNTHETIC_KEY, SYNTHETIC_TEXT, format_of
from tests.classifier.images.archives import encrypted, with_link, zipped
from tests.classifier.images.fuzz.zips import Stream, zipped_into
from tests.classifier.images.samples import CT, LOSSLESS, LOSSY, RAW, chest, ct_slice, dataset, write

DEEP = chest(70, 66)
SHALLOW = (DEEP >> 4).astype(np.uint8)
COLOUR = np.dstack([SHALLOW, SHALLOW, SHALLOW // 2])
EXIF_ORIENTATION = 0x0112
_FILES_OF_A_FOLDER, _LARGE = 200, 100_000


@dataclass(frozen=True)
class Seed:
    name: str
    kind: str
    data: bytes

    @property
    def weight(self) -> float:
        """How often it is taken: large files cost time and teach no more than small ones."""
        return 1 / (1 + len(self.data) / _LARGE)


def kind_of(data: bytes) -> str | None:
    if is_archive(data[:1024]):
        return "zip"
    return "dicom" if is_dicom(data) else (format_of(data) or "").lower() or None


@cache
def made() -> tuple[Seed, ...]:
    """The seeds that are made by code, the same ones in every process."""
    decoded_images = [Seed(name, kind_of(data) or "", data) for name, data in (*_dicom(), *_images())]
    return (
        *decoded_images,
        *(Seed(name, "zip", data) for name, data in _archives({s.name: s.data for s in decoded_images})),
    )


def found(folder: Path) -> Iterator[Seed]:
    """Files of a folder, at most 200 of them, evenly from its list by name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths[:: max(1, -(-len(paths) // _FILES_OF_A_FOLDER))]:
        data = path.read_bytes()
        kind = kind_of(data)
        if kind:
            yield Seed(path.name, kind, data)


def _dicom() -> Iterator[tuple[str, bytes]]:
    for syntax in (*RAW, *LOSSLESS, *LOSSY):
        shallow = syntax == JPEGBaseline8Bit
        made = dataset(SHALLOW if shallow else DEEP, syntax=syntax, bits=8 if shallow else 12, **_person())
        yield f"{syntax.name}.dcm", _bytes(made)
    for name, made in {**_grey_dicom(), **_colour_dicom(), **_odd_dicom()}.items():
        yield f"{name}.dcm", _bytes(made)
    yield "without preamble.dcm", _bytes(dataset(DEEP, syntax=ImplicitVRLittleEndian, bits=12))[132:]
    yield "without meta.dcm", _bytes(dataset(DEEP, bits=12)).split(b"1.2.840.10008.1.2.1\0", 1)[1]


def _person() -> dict[str, Any]:
    return {
        "PatientID": "4711",
        "PatientName": "Secretova^Anna",
        "PatientBirthDate": "19610203",
        "PatientAge": "065Y",
        "StudyDate": "20260305",
        "StudyTime": "101112.5",
        "StudyInstanceUID": "1.2.3.99.1",
        "SpecificCharacterSet": "ISO_IR 100",
        "OtherPatientIDsSequence": Sequence([_item(PatientID="4712", TypeOfPatientID="TEXT")]),
    }


def _grey_dicom() -> dict[str, Dataset]:
    lut = _item(LUTDescriptor=[4096, 0, 16], LUTData=np.arange(0, 65536, 16, dtype="<u2").tobytes())
    lut["LUTData"].VR = "OW"
    return {
        "ct": dataset(ct_slice(70, 66), **CT, WindowCenter="40", WindowWidth="400", PixelPaddingValue=-1000),
        "monochrome1": dataset(
            DEEP, bits=12, PhotometricInterpretation="MONOCHROME1", WindowCenter="2048", WindowWidth="4096"
        ),
        "voi lut": dataset(DEEP, bits=12, VOILUTSequence=Sequence([lut])),
        "modality lut": dataset(DEEP, bits=12, ModalityLUTSequence=Sequence([lut])),
        "32 bit": dataset(DEEP.astype(np.uint32) << 12, bits=24),
        "one bit": dataset(np.packbits(DEEP[:64, :64] > 2000, axis=None, bitorder="little").reshape(64, 8),
                           BitsAllocated=1, BitsStored=1, HighBit=0, Columns=64),
        "enhanced": dataset(
            ct_slice(70, 66), Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", NumberOfFrames=1,
            SharedFunctionalGroupsSequence=Sequence([_item(
                FrameVOILUTSequence=Sequence([_item(WindowCenter="40", WindowWidth="400")]),
                PixelValueTransformationSequence=Sequence([_item(RescaleSlope="1", RescaleIntercept="0")]),
            )]),
        ),
    }  # fmt: skip


def _colour_dicom() -> dict[str, Dataset]:
    capture = {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "OT"}
    table = np.arange(256, dtype="<u2").tobytes()
    palette = {f"{c}PaletteColorLookupTable{part}": value for c in ("Red", "Green", "Blue")
               for part, value in (("Descriptor", [256, 0, 16]), ("Data", table))}  # fmt: skip
    planar = dataset(COLOUR, PlanarConfiguration=1, **capture)
    planar.PixelData = np.moveaxis(COLOUR, 2, 0).tobytes()
    return {
        "rgb": dataset(COLOUR, **capture),
        "planar": planar,
        "ybr": dataset(COLOUR, PhotometricInterpretation="YBR_FULL", **capture),
        "palette": dataset(SHALLOW, PhotometricInterpretation="PALETTE COLOR", **palette, **capture),
        "rle colour": dataset(COLOUR, syntax=RLELossless, **capture),
        "jpeg colour": dataset(
            COLOUR, syntax=JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL_422", **capture
        ),
        "jpeg-ls colour": dataset(COLOUR, syntax=JPEGLSLossless, **capture),
    }


def _odd_dicom() -> dict[str, Dataset]:
    tiles = dataset(SHALLOW, syntax=JPEG2000Lossless)
    tiles.PixelData = encapsulate(
        [_saved(Image.fromarray(SHALLOW), "JPEG2000", no_jp2=True, tile_size=(32, 32), num_resolutions=3)]
    )
    boxed = dataset(DEEP, syntax=JPEG2000Lossless, bits=12)
    boxed.PixelData = encapsulate([imagecodecs.jpeg2k_encode(DEEP, codecformat="jp2", bitspersample=12)])
    pieces = dataset(SHALLOW, syntax=JPEGBaseline8Bit)
    pieces.PixelData = encapsulate([imagecodecs.jpeg_encode(SHALLOW)], fragments_per_frame=4)
    overlaid = dataset(DEEP, bits=12)
    for element, vr, value in ((0x10, "US", 70), (0x11, "US", 66), (0x100, "US", 16), (0x102, "US", 12)):
        overlaid.add_new((0x6000, element), vr, value)
    for made in (tiles, boxed, pieces):
        made["PixelData"].is_undefined_length = True
    return {"tiles": tiles, "boxed": boxed, "pieces": pieces, "overlaid": overlaid,
            "film": dataset(np.vstack([DEEP, DEEP]), bits=12, Rows=70, NumberOfFrames=2)}  # fmt: skip


def _images() -> Iterator[tuple[str, bytes]]:
    grey, colour, deep = (Image.fromarray(pixels) for pixels in (SHALLOW, COLOUR, DEEP))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    text = PngInfo()
    text.add_text(SYNTHETIC_KEY, SYNTHETIC_TEXT)
    text.add_text("Comment", "x" * 500, zip=True)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield f"{mode}.png", _saved(colour.convert(mode), "PNG")
    yield "deep.png", _saved(deep, "PNG")
    yield "text.png", _saved(grey, "PNG", pnginfo=text, exif=exif, icc_profile=b"profile" * 40)
    yield "see-through.png", _saved(colour.convert("P"), "PNG", transparency=3)
    yield "deep colour.png", imagecodecs.png_encode(np.dstack([DEEP, DEEP, DEEP]))
    for mode in ("L", "RGB", "CMYK"):
        yield f"{mode}.jpg", _saved(colour.convert(mode), "JPEG")
    yield "progressive.jpg", _saved(colour, "JPEG", progressive=True)
    yield "turned.jpg", _saved(grey, "JPEG", exif=exif, icc_profile=b"profile" * 40, comment="remark")
    yield "restarts.jpg", _saved(grey, "JPEG", restart_marker_rows=1, subsampling=2)
    yield "several.jpg", _saved(grey, "MPO", save_all=True, append_images=[grey])
    yield "12 bit.jpg", bytes(imagecodecs.jpeg_encode(DEEP, bitspersample=12))
    yield "lossless.jpg", bytes(imagecodecs.jpeg_encode(DEEP, lossless=True, bitspersample=12))
    yield "ls.jpg", bytes(imagecodecs.jpegls_encode(DEEP))
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4"):
        yield f"{name}.tif", _saved(grey.convert("1") if name == "group4" else grey, "TIFF", compression=name)
    yield "deep.tif", _saved(deep, "TIFF")
    yield "colour.tif", _saved(colour, "TIFF", compression="tiff_lzw", exif=exif)
    yield "fractions.tif", _saved(Image.fromarray(DEEP.astype(np.float32)), "TIFF")
    yield "pages.tif", _saved(grey, "TIFF", save_all=True, append_images=[grey])
    yield "big.tif", _saved(grey, "TIFF", big_tiff=True)
    yield "motorola.tif", bytes(imagecodecs.tiff_encode(DEEP, byteorder=">"))
    yield "tiles.tif", bytes(imagecodecs.tiff_encode(np.dstack([DEEP] * 3), tile=(32, 32)))
    for name, pixels in _deep_tiffs().items():
        layout = {"planarconfig": "contig", "extrasample": "unassalpha"} if pixels.ndim == 3 else {}
        yield f"{name}.tif", bytes(imagecodecs.tiff_encode(pixels, **layout))
    yield "lossy.webp", _saved(colour, "WEBP")
    yield "lossless.webp", _saved(colour, "WEBP", lossless=True, exif=exif)
    yield "see-through.webp", _saved(colour.convert("RGBA"), "WEBP", exact=True)
    yield "moving.webp", _saved(colour, "WEBP", save_all=True, append_images=[grey.convert("RGB")])


def _deep_tiffs() -> dict[str, np.ndarray]:
    """Samples of other types than an image usually has."""
    gaps = DEEP.astype(np.float32)
    gaps[:5] = np.nan
    return {
        "signed": SHALLOW.astype(np.int16).astype(np.int8),
        "signed deep": DEEP.astype(np.int16) - 2048,
        "doubles": DEEP.astype(np.float64),
        "gaps": gaps,
        "see-through deep": np.dstack([DEEP, np.full_like(DEEP, 65535)]),
    }


def _archives(decoded_images: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    few = {name: decoded_images[name] for name in ("L.png", "RGB.jpg", "ct.dcm", "lossy.webp")}
    yield "deflated.zip", zipped(few)
    yield (
        "stored.zip",
        zipped({"a/b/1.PNG": few["L.png"], "README.txt": b"read me"}, method=zipfile.ZIP_STORED),
    )
    yield "nested.zip", zipped({"in.zip": zipped(few), "L.png": few["L.png"]})
    yield "encrypted.zip", encrypted(zipped(few))
    yield "link.zip", with_link("x.png", "/etc/passwd") + b"tail"
    yield "many.zip", zipped({f"{n}.png": few["L.png"] for n in range(60)})
    yield "streamed.zip", zipped_into(Stream(), list(few.items()))
    yield "behind.zip", few["L.png"] + zipped(few)
    yield "black.zip", zipped({"0.png": few["L.png"] + bytes(1 << 20)})
    yield "folders.zip", zipped({"a/": b"", "a/b/": b"", "a/b/ü€.png": few["L.png"], "DICOMDIR": b"x"})


def _item(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def _bytes(made: Dataset) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder) / "x.dcm", made).read_bytes()


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, kind, **options)
    return made.getvalue()
