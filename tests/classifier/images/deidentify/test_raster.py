"""What an image file states next to its image is removed; the grey levels stay as they were."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from classifier.errors import Refused
from classifier.images.deidentify.raster import rewritten
from classifier.images.raster.reader import SYNTHETIC_KEY, SYNTHETIC_TEXT, read_raster
from classifier.reasons import RefusalReason
from tests.classifier.images.raster.test_reader import png_declaring
from tests.classifier.images.samples import chest

SECRETS = (b"Mustermann", b"4711-secret", b"St. Anna")
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>4711-secret</dc:creator></x:xmpmeta>'


def exif_of(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x0112] = "Mustermann^Erika", "St. Anna", orientation
    return exif.tobytes()


def text(**more: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, value in {"Title": "Mustermann^Erika", "Comment": "St. Anna"}.items():
        info.add_text(key, value, zip=key == "Comment")
    info.add_itxt("Patient", "4711-secret", zip=True)
    for key, value in more.items():
        info.add_text(key, value)
    return info


def decoded(mode: str) -> Image.Image:
    grey = Image.fromarray((chest(90, 70) >> 4).astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray(chest(90, 70))
    if mode == "CMYK":
        return Image.merge("RGB", (grey, grey.rotate(3), grey)).convert("CMYK")
    return grey.convert(mode)


def saved(mode: str, kind: str, *, orientation: int = 1, **options: object) -> bytes:
    buffer = io.BytesIO()
    if kind == "PNG":
        options.setdefault("pnginfo", text())
    if kind == "JPEG":
        options.setdefault("comment", b"Mustermann^Erika")
    if kind in {"JPEG", "WEBP"}:
        options.setdefault("xmp", XMP)
    icc = b"St. Anna profile".ljust(200, b".")
    decoded(mode).save(buffer, kind, exif=exif_of(orientation), icc_profile=icc, **options)
    return buffer.getvalue()


CASES = [
    *(("PNG", mode, {}) for mode in ("1", "L", "I;16", "P", "LA", "RGB", "RGBA")),
    *(("JPEG", mode, {}) for mode in ("L", "RGB", "CMYK")),
    ("JPEG", "RGB", {"progressive": True, "restart_marker_blocks": 4}),
    *(("WEBP", mode, {"lossless": lossless}) for mode in ("RGB", "RGBA") for lossless in (False, True)),
]


def levels_of(data: bytes) -> np.ndarray:
    return read_raster(data).levels


@pytest.mark.parametrize(("kind", "mode", "options"), CASES)
def test_texts_and_profiles_go_and_the_grey_levels_stay(kind: str, mode: str, options: dict) -> None:
    data = saved(mode, kind, **options)
    assert b"Mustermann" in data
    out = rewritten(data + b"Mustermann behind the end")
    assert not any(secret in out for secret in SECRETS)
    np.testing.assert_array_equal(levels_of(out), levels_of(data))
    assert read_raster(out).pixel_sha256 == read_raster(data).pixel_sha256
    with Image.open(io.BytesIO(out)) as image:
        assert not image.getexif()
        assert not image.info


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", [2, 6, 8])
def test_a_turned_image_becomes_an_upright_one(kind: str, orientation: int) -> None:
    data = saved("RGB", kind, orientation=orientation)
    out = rewritten(data)
    np.testing.assert_array_equal(levels_of(out), levels_of(data))
    assert not any(secret in out for secret in SECRETS)


@pytest.mark.parametrize("bits", [12, 10])
def test_an_image_of_unusual_depth_keeps_it(bits: int) -> None:
    levels = chest() >> (12 - bits)
    data = bytes(imagecodecs.jpeg_encode(levels, lossless=True, predictor=1, bitspersample=bits))
    out = rewritten(data[:2] + b"\xff\xfe\x00\x0cMustermann" + data[2:])
    assert b"Mustermann" not in out
    assert read_raster(out).bits == bits
    np.testing.assert_array_equal(levels_of(out), levels)


def test_a_turned_file_is_read_as_before(tmp_path: Path) -> None:
    data = saved("L", "JPEG", orientation=6)
    before, after = read_raster(data), read_raster(rewritten(data))
    np.testing.assert_array_equal(after.levels, before.levels)
    assert after.pixel_sha256 == before.pixel_sha256


def test_the_mark_of_a_phantom_stays_and_nothing_with_it() -> None:
    data = saved("L", "PNG", pnginfo=text(**{SYNTHETIC_KEY: SYNTHETIC_TEXT}))
    out = rewritten(data)
    assert read_raster(out).synthetic
    assert not any(secret in out for secret in SECRETS)
    assert not read_raster(rewritten(saved("L", "PNG", pnginfo=text(Synthetic="Mustermann")))).synthetic


def test_a_thumbnail_in_the_jfif_header_goes() -> None:
    data = saved("L", "JPEG")
    at = data.index(b"JFIF\0")
    thumbnail = b"Mustermann^Erika".ljust(27, b".")
    body = data[at : at + 12] + bytes((3, 3)) + thumbnail
    made = data[: at - 4] + b"\xff\xe0" + (len(body) + 2).to_bytes(2, "big") + body + data[at + 14 :]
    out = rewritten(made)
    assert b"Mustermann" not in out
    np.testing.assert_array_equal(levels_of(out), levels_of(data))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_a_file_that_breaks_off_is_refused(kind: str, share: float) -> None:
    data = saved("L" if kind != "WEBP" else "RGB", kind)
    with pytest.raises(Refused):
        rewritten(data[: int(len(data) * share)])


def test_another_format_is_refused() -> None:
    buffer = io.BytesIO()
    decoded("L").save(buffer, "BMP")
    with pytest.raises(Refused):
        rewritten(buffer.getvalue())


def test_an_image_that_declares_too_much_is_too_large_here_as_well() -> None:
    with pytest.raises(Refused) as caught:
        rewritten(png_declaring(60_000, 60_000))
    assert caught.value.reason is RefusalReason.TOO_LARGE
