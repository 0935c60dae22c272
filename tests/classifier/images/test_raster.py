"""PNG and JPEG files become the same kind of picture, whatever their depth, colours and orientation."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from classifier.contract import RefusalReason, Slot
from classifier.errors import Refused
from classifier.images.limits import MAX_FILE_BYTES
from classifier.images.reading import read
from tests.classifier.images.samples import chest

GREY = (chest() >> 4).astype(np.uint8)
EXIF_ORIENTATION = 0x0112


def reason_of(path: Path) -> RefusalReason:
    with pytest.raises(Refused) as caught:
        read(path)
    return caught.value.reason


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_a_grey_picture_in_any_png_colour_type_keeps_its_values(tmp_path: Path, mode: str) -> None:
    Image.fromarray(GREY).convert(mode).save(tmp_path / "x.png")
    picture = read(tmp_path / "x.png")
    np.testing.assert_array_equal(picture.display, GREY)
    np.testing.assert_array_equal(picture.working, GREY.astype(np.uint16) * 257)
    np.testing.assert_array_equal(picture.preview, GREY)
    assert (picture.slot, picture.rows, picture.columns) == (Slot.CXR, 96, 80)


def test_a_one_bit_png_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(GREY > 128).save(tmp_path / "x.png", bits=1)
    np.testing.assert_array_equal(read(tmp_path / "x.png").display, np.where(GREY > 128, 255, 0))


def test_a_16_bit_png_keeps_its_depth_and_is_windowed_to_its_content(tmp_path: Path) -> None:
    deep = chest(top=4095)
    Image.fromarray(deep).save(tmp_path / "x.png")
    picture = read(tmp_path / "x.png")
    np.testing.assert_array_equal(picture.display, deep)
    assert picture.working.max() == 65535
    assert picture.preview.max() == 255


def test_the_same_picture_in_8_and_in_16_bits_works_the_same(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "8.png")
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "16.png")
    np.testing.assert_array_equal(read(tmp_path / "8.png").working, read(tmp_path / "16.png").working)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bit_colour_is_not_cut_down_to_8_bits(tmp_path: Path, channels: int) -> None:
    deep = np.repeat(chest()[..., None], channels, axis=2)
    if channels != 3:
        deep[..., -1] = 65535
    (tmp_path / "x.png").write_bytes(imagecodecs.png_encode(deep))
    np.testing.assert_array_equal(read(tmp_path / "x.png").display, deep[..., 0])


def test_what_is_transparent_is_black(tmp_path: Path) -> None:
    pixels = np.dstack([GREY, GREY, GREY, np.full_like(GREY, 255)])
    pixels[:, :40, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "x.png")
    display = read(tmp_path / "x.png").display
    assert not display[:, :40].any()
    np.testing.assert_array_equal(display[:, 40:], GREY[:, 40:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_the_camera_was_held(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(GREY)
    exif = image.getexif()
    exif[EXIF_ORIENTATION] = orientation
    image.save(tmp_path / "x.jpg", exif=exif, quality=100)
    with Image.open(tmp_path / "x.jpg") as saved:
        expected = np.asarray(ImageOps.exif_transpose(saved))
    np.testing.assert_array_equal(read(tmp_path / "x.jpg").display, expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_in_any_colour_space_is_read_as_grey(tmp_path: Path, mode: str) -> None:
    Image.fromarray(GREY).convert(mode).save(tmp_path / "x.jpg", quality=100, subsampling=0)
    difference = read(tmp_path / "x.jpg").display.astype(int) - GREY
    assert np.abs(difference).max() <= 6


def test_a_large_picture_works_at_1024_and_displays_in_full(tmp_path: Path) -> None:
    large = (chest(1100, 880) >> 4).astype(np.uint8)
    Image.fromarray(large).save(tmp_path / "x.png")
    picture = read(tmp_path / "x.png")
    assert picture.display.shape == (1100, 880)
    assert picture.working.shape == picture.preview.shape == (1024, 819)
    assert abs(picture.working.mean() - large.mean() * 257) < 100


def test_the_same_pixels_have_the_same_hash_in_any_file(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY).convert("RGB").save(tmp_path / "b.png")
    Image.fromarray(GREY.T.copy()).save(tmp_path / "c.png")
    a, b, c = (read(tmp_path / f"{name}.png").pixel_sha256 for name in "abc")
    assert a == b != c


def test_nothing_becomes_a_phantom_by_claim(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "x.png")
    assert read(tmp_path / "x.png", Slot.PHANTOM).slot is Slot.CXR


def test_a_slice_claimed_as_ct_is_taken_to_be_in_the_lung_window(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "x.png")
    picture = read(tmp_path / "x.png", Slot.CT)
    hounsfield = picture.display * picture.slope + picture.intercept
    assert picture.slot is Slot.CT
    np.testing.assert_allclose(hounsfield, -1350 + GREY / 255 * 1500)
    np.testing.assert_allclose(picture.working, (np.clip(hounsfield, -1024, 3071) + 1024) * 16, atol=0.51)


@pytest.mark.parametrize("claimed", [None, Slot.CXR, Slot.CT])
def test_a_marked_phantom_is_a_phantom_whatever_is_claimed(tmp_path: Path, claimed: Slot | None) -> None:
    mark = PngInfo()
    mark.add_text("Synthetic", "Hilum phantom")
    Image.fromarray(GREY).save(tmp_path / "x.png", pnginfo=mark)
    picture = read(tmp_path / "x.png", claimed)
    assert (picture.slot, picture.synthetic) == (Slot.PHANTOM, True)


@pytest.mark.parametrize(
    "content", [b"", b"not a picture at all\n", b"GIF89a" + b"\0" * 200, b"PK\3\4" + b"\0" * 99]
)
def test_what_is_no_picture_is_not_an_image_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    assert reason_of(tmp_path / "x.png") is RefusalReason.NOT_AN_IMAGE


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_a_truncated_picture_is_undecodable(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    Image.fromarray(GREY).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert reason_of(path) is RefusalReason.UNDECODABLE


def test_a_thumbnail_is_too_small(tmp_path: Path) -> None:
    Image.fromarray(GREY[:63]).save(tmp_path / "x.png")
    assert reason_of(tmp_path / "x.png") is RefusalReason.TOO_SMALL


@pytest.mark.parametrize("deep", [False, True])
def test_a_blank_picture_is_too_uniform(tmp_path: Path, deep: bool) -> None:
    noise = np.random.default_rng(0).integers(100, 104, (80, 80))
    Image.fromarray(noise.astype(np.uint16 if deep else np.uint8)).save(tmp_path / "x.png")
    assert reason_of(tmp_path / "x.png") is RefusalReason.TOO_UNIFORM


def png_declaring(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (20_001, 64), (10_001, 10_000)])
def test_a_picture_that_declares_too_much_is_too_large_before_it_is_decoded(
    tmp_path: Path, width: int, height: int
) -> None:
    (tmp_path / "x.png").write_bytes(png_declaring(width, height))
    assert reason_of(tmp_path / "x.png") is RefusalReason.TOO_LARGE


def test_a_file_over_the_limit_is_too_large_unread(tmp_path: Path) -> None:
    with (tmp_path / "x.png").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert reason_of(tmp_path / "x.png") is RefusalReason.TOO_LARGE
