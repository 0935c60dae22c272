"""Image files and archives with a name planted in one place each."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

import imagecodecs
import numpy as np
from PIL import Image, PngImagePlugin, TiffImagePlugin

from tests.classifier.images.deidentify.planted_dicom import Plant, base, even, jp2_box, segment, written
from tests.classifier.images.samples import chest


def grey(mode: str = "L") -> Image.Image:
    return Image.fromarray((chest() >> 4).astype(np.uint8)).convert(mode)


def saved(kind: str, mode: str = "L", **options: object) -> bytes:
    buffer = io.BytesIO()
    grey(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def in_png_chunk(kind: bytes, prefix: bytes = b"", *, compressed: bool = False) -> Plant:
    def plant(name: bytes) -> bytes:
        data = saved("PNG")
        return data[:33] + chunk(kind, prefix + (zlib.compress(name, 0) if compressed else name)) + data[33:]

    return plant


def png_of(colour_type: int, rows: np.ndarray, behind: bytes = b"", *between: bytes) -> bytes:
    """An 8-bit PNG file without filters or compression; `behind` follows the last row."""
    header = struct.pack(">2I5B", rows.shape[1], rows.shape[0], 8, colour_type, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows) + behind, 0)
    chunks = (chunk(b"IHDR", header), *between, chunk(b"IDAT", packed), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_pixels_too_many(name: bytes) -> bytes:
    return png_of(0, np.asarray(grey()), name)


def png_palette(name: bytes) -> bytes:
    used = bytes(value for level in range(64) for value in (level * 4,) * 3)
    return png_of(3, np.asarray(grey()) // 4, b"", chunk(b"PLTE", (used + name).ljust(768, b"\0")))


def under_transparency(name: bytes) -> bytes:
    pixels = np.dstack([np.asarray(grey())] * 3 + [np.full(grey().size[::-1], 255, np.uint8)])
    text = np.frombuffer(name + bytes(-len(name) % 4), np.uint8).reshape(-1, 4)
    pixels[0] = 0
    pixels[0, : len(text)] = text
    return png_of(6, pixels)


def in_jpeg(marker: int, prefix: bytes = b"", **options: object) -> Plant:
    def plant(name: bytes) -> bytes:
        data = saved("JPEG", **options)
        return data[:2] + segment(marker, prefix + name) + data[2:]

    return plant


def jpeg_before_end(name: bytes) -> bytes:
    data = saved("JPEG")
    return data[:-2] + segment(0xFE, name) + data[-2:]


def unused_table(name: bytes) -> bytes:
    """A quantisation table that no component uses (ISO/IEC 10918-1 B.2.4.1)."""
    data = saved("JPEG")
    return data[:2] + segment(0xDB, b"\x03" + name[:64].ljust(64, b"\1")) + data[2:]


def second_image(name: bytes) -> bytes:
    """As cameras append previews (multi-picture format)."""
    return saved("JPEG") + in_jpeg(0xFE)(name)


def deep_jpeg(name: bytes) -> bytes:
    data = bytes(imagecodecs.jpeg_encode(chest(), lossless=True, predictor=1, bitspersample=12))
    return data[:2] + segment(0xFE, name) + data[2:]


def raw_jpegls(name: bytes) -> bytes:
    data = bytes(imagecodecs.jpegls_encode(chest()))
    return data[:2] + segment(0xFE, name) + data[2:]


def tiff(tag: int) -> Plant:
    def plant(name: bytes) -> bytes:
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        binary = tag in {700, 50_001}
        tags.tagtype[tag] = 7 if binary else 2
        tags[tag] = name if binary else name.decode("latin-1")
        return saved("TIFF", tiffinfo=tags)

    return plant


def tiff_gap(name: bytes) -> bytes:
    """Bytes that no entry of the file points to."""
    data = bytearray(saved("TIFF"))
    return bytes(data) + name


def in_webp(kind: bytes) -> Plant:
    def plant(name: bytes) -> bytes:
        data = saved("WEBP", "RGB", lossless=True)
        body = data[12:] + kind + struct.pack("<I", len(even(name))) + even(name)
        return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body

    return plant


def behind(kind: str, mode: str = "L") -> Plant:
    return lambda name: saved(kind, mode) + name


def saved_with(kind: str, mode: str, option: str, wrap: Callable[[bytes], object] = bytes) -> Plant:
    return lambda name: saved(kind, mode, **{option: wrap(name)})


def exif(name: bytes) -> bytes:
    made = Image.Exif()
    made[0x010E], made[0x0112] = name.decode("latin-1"), 6
    return made.tobytes()


def text(name: bytes) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Synthetic", name.decode("latin-1"))
    return info


def bmp_gap(name: bytes) -> bytes:
    data = bytearray(saved("BMP"))
    start = struct.unpack_from("<I", data, 10)[0]
    data[10:14] = struct.pack("<I", start + len(name))
    return bytes(data[:start]) + name + bytes(data[start:])


def jp2(name: bytes) -> bytes:
    return jp2_box(bytes(imagecodecs.jpeg2k_encode(chest(), codecformat="j2k")), name)


def archive(member: str = "a.dcm", **where: bool) -> Plant:
    def plant(name: bytes) -> bytes:
        buffer, latin = io.BytesIO(), name.decode("latin-1").replace("\0", "")
        with zipfile.ZipFile(buffer, "w") as made:
            info = zipfile.ZipInfo(f"{latin}/{member}" if where.get("path") else member)
            if where.get("extra"):
                info.extra = struct.pack("<HH", 0x9999, len(name)) + name
            if where.get("member_comment"):
                info.comment = name
            # The content differs from place to place, or the upload is the earlier one.
            unique = base()
            unique.InstanceNumber = len(where) * 1000 + sum(map(ord, "".join(where)))
            made.writestr(info, written(unique))
            made.writestr(f"{latin}.docx" if where.get("skipped") else "a.docx", b"no image")
            made.comment = name if where.get("comment") else b""
        return buffer.getvalue()

    return plant


STORED: dict[str, Plant] = {
    "PNG tEXt": in_png_chunk(b"tEXt", b"Title\0"),
    "PNG zTXt": in_png_chunk(b"zTXt", b"Title\0\0", compressed=True),
    "PNG iTXt": in_png_chunk(b"iTXt", b"Title\0\0\0\0\0"),
    "PNG iCCP": in_png_chunk(b"iCCP", b"Profile\0\0", compressed=True),
    "PNG private chunk": in_png_chunk(b"prVt"),
    "PNG eXIf": saved_with("PNG", "L", "exif", exif),
    "PNG phantom mark with another text": saved_with("PNG", "L", "pnginfo", text),
    "PNG behind the end": behind("PNG"),
    "PNG behind the rows": png_pixels_too_many,
    "PNG unused palette": png_palette,
    "JPEG comment": in_jpeg(0xFE),
    "PNG colours and transparency": under_transparency,
    "JPEG comment behind the scan": jpeg_before_end,
    "JPEG JFIF thumbnail": in_jpeg(0xE0, b"JFXX\0\x10"),
    "JPEG Exif": saved_with("JPEG", "L", "exif", exif),
    "JPEG XMP": in_jpeg(0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
    "JPEG ICC profile": in_jpeg(0xE2, b"ICC_PROFILE\0\1\1"),
    "JPEG APP13": in_jpeg(0xED, b"Photoshop 3.0\x008BIM"),
    "JPEG APP15": in_jpeg(0xEF),
    "JPEG unused table": unused_table,
    "JPEG behind the end": behind("JPEG"),
    "JPEG second image": second_image,
    "JPEG progressive comment": in_jpeg(0xFE, progressive=True),
    "JPEG of 12 bits": deep_jpeg,
    "JPEG-LS comment": raw_jpegls,
    "TIFF description": tiff(270),
    "TIFF artist": tiff(315),
    "TIFF private tag": tiff(50_001),
    "TIFF XMP": tiff(700),
    "TIFF behind the directory": tiff_gap,
    "WebP EXIF": in_webp(b"EXIF"),
    "WebP XMP": in_webp(b"XMP "),
    "WebP unknown chunk": in_webp(b"ABCD"),
    "WebP behind the end": behind("WEBP", "RGB"),
    "archive comment": archive(comment=True),
    "archive path": archive(path=True),
    "archive extra field": archive(extra=True),
    "archive member comment": archive(member_comment=True),
    "archive skipped member": archive(skipped=True),
}


def raster_places() -> Iterator[tuple[str, Plant, str]]:
    """(place, how a name gets there, the code of the refusal or `stored`)."""
    for place, plant in STORED.items():
        yield place, plant, "stored"
    refused: dict[str, Plant] = {
        "GIF comment": saved_with("GIF", "L", "comment"),
        "BMP gap": bmp_gap,
        "JP2 box": jp2,
        "SVG text": lambda name: b"<svg xmlns='http://www.w3.org/2000/svg'><text>" + name + b"</text></svg>",
        "PDF": lambda name: b"%PDF-1.4\n" + name,
    }
    for place, plant in refused.items():
        yield place, plant, "not_an_image"
