"""Image files become the same kind of image, whatever their format, depth, colours and orientation."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.limits import MAX_FILE_BYTES
from classifier.images.read import read_image
from classifier.reasons import RefusalReason
from tests.classifier.images.samples import chest, dataset, write

GREY = (chest() >> 4).astype(np.uint8)
EXIF_ORIENTATION = 0x0112


def reason_of(path: Path) -> RefusalReason:
    with pytest.raises(Refused) as caught:
        read_image(path)
    return caught.value.reason


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_a_grey_image_in_any_png_colour_type_keeps_its_values(tmp_path: Path, mode: str) -> None:
    Image.fromarray(GREY).convert(mode).save(tmp_path / "x.png")
    decoded = read_image(tmp_path / "x.png")
    np.testing.assert_array_equal(decoded.display, GREY)
    np.testing.assert_array_equal(decoded.working, GREY.astype(np.uint16) * 257)
    np.testing.assert_array_equal(decoded.preview, GREY)
    assert (decoded.slot, decoded.rows, decoded.columns) == (Slot.CXR, 96, 80)


def test_a_one_bit_png_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(GREY > 128).save(tmp_path / "x.png", bits=1)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png").display, np.where(GREY > 128, 255, 0))


def test_a_16_bit_png_keeps_its_depth_and_is_windowed_to_its_content(tmp_path: Path) -> None:
    deep = chest(top=4095)
    Image.fromarray(deep).save(tmp_path / "x.png")
    decoded = read_image(tmp_path / "x.png")
    np.testing.assert_array_equal(decoded.display, deep)
    assert decoded.working.max() == 65535
    assert decoded.preview.max() == 255


def test_the_same_image_in_8_and_in_16_bits_works_the_same(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "8.png")
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "16.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "8.png").working, read_image(tmp_path / "16.png").working
    )


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bit_colour_is_not_cut_down_to_8_bits(tmp_path: Path, channels: int) -> None:
    deep = np.repeat(chest()[..., None], channels, axis=2)
    if channels != 3:
        deep[..., -1] = 65535
    (tmp_path / "x.png").write_bytes(imagecodecs.png_encode(deep))
    np.testing.assert_array_equal(read_image(tmp_path / "x.png").display, deep[..., 0])


def test_what_is_transparent_is_black(tmp_path: Path) -> None:
    pixels = np.dstack([GREY, GREY, GREY, np.full_like(GREY, 255)])
    pixels[:, :40, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "x.png")
    display = read_image(tmp_path / "x.png").display
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
    np.testing.assert_array_equal(read_image(tmp_path / "x.jpg").display, expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_in_any_colour_space_is_read_as_grey(tmp_path: Path, mode: str) -> None:
    Image.fromarray(GREY).convert(mode).save(tmp_path / "x.jpg", quality=100, subsampling=0)
    difference = read_image(tmp_path / "x.jpg").display.astype(int) - GREY
    assert np.abs(difference).max() <= 6


def saved(tmp_path: Path, decoded: Image.Image | np.ndarray, name: str, **options: object) -> Path:
    image = decoded if isinstance(decoded, Image.Image) else Image.fromarray(decoded)
    image.save(tmp_path / name, **options)
    return tmp_path / name


def tiff(
    pixels: np.ndarray, *, order: str = "<", photometric: int = 1, sample_format: int = 1, **tags: int | None
) -> bytes:
    """A TIFF 6.0 of one plain strip; `tags` such as `t256=60_000` overrule what fits; None leaves one out."""
    rows, columns, samples = *pixels.shape[:2], pixels.shape[2] if pixels.ndim == 3 else 1
    body = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    entries = {256: columns, 257: rows, 258: 8 * pixels.dtype.itemsize, 259: 1, 262: photometric, 273: 8}
    entries |= {277: samples, 278: rows, 279: len(body), 339: sample_format}
    entries |= {int(tag[1:]): value for tag, value in tags.items()}
    entries = {tag: value for tag, value in entries.items() if value is not None}
    directory = struct.pack(f"{order}H", len(entries))
    after = 8 + len(body) + 2 + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        count = samples if tag in {258, 339} and samples > 2 else 1
        directory += struct.pack(f"{order}2H2I", tag, 4 if count == 1 else 3, count, after)[:8]
        directory += struct.pack(f"{order}I", value if count == 1 else after)
    deep = struct.pack(f"{order}4H", *[entries[258]] * 4)
    if samples > 2:  # both lists of a value for each sample lie behind the directory
        at = directory.index(struct.pack(f"{order}2HI", 339, 3, samples)) + 8
        directory = directory[:at] + struct.pack(f"{order}I", after + 8) + directory[at + 4 :]
        deep += struct.pack(f"{order}4H", *[sample_format] * 4)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", 8 + len(body)) + body + directory + bytes(4) + deep


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK"])
def test_a_grey_image_in_any_tiff_keeps_its_values(
    tmp_path: Path, mode: str, compression: str | None
) -> None:
    path = saved(tmp_path, Image.fromarray(GREY).convert(mode), "x.tif", compression=compression)
    np.testing.assert_array_equal(read_image(path).display, GREY)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [None, 3, 4])
def test_16_bit_tiff_keeps_its_depth(tmp_path: Path, order: str, channels: int | None) -> None:
    deep = chest() if channels is None else np.dstack([chest()] * 3 + [np.full_like(chest(), 65535)])
    extra = {"t338": 2} if channels == 4 else {}
    data = tiff(
        deep[..., :channels] if channels else deep, order=order, photometric=2 if channels else 1, **extra
    )
    (tmp_path / "x.tif").write_bytes(data)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif").display, chest())


@pytest.mark.parametrize("pixels", [255 - GREY, 65535 - chest(top=65535)], ids=["8-bit", "16-bit"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_whose_zero_is_white_is_turned(tmp_path: Path, pixels: np.ndarray, order: str) -> None:
    (tmp_path / "x.tif").write_bytes(tiff(pixels, photometric=0, order=order))
    decoded = read_image(tmp_path / "x.tif")
    np.testing.assert_array_equal(decoded.display, np.iinfo(pixels.dtype).max - pixels)
    assert not decoded.polarity_turned


@pytest.mark.parametrize("kind", ["big", "tiled", "one-bit", "jpeg", "fraction", "signed"])
def test_less_common_tiffs_are_read(tmp_path: Path, kind: str) -> None:
    match kind:
        case "big":
            path = saved(tmp_path, GREY, "x.tif", big_tiff=True)
        case "tiled":
            path = saved(tmp_path, GREY, "x.tif", compression="tiff_lzw", tiffinfo={322: 16, 323: 16})
        case "one-bit":
            path = saved(tmp_path, GREY > 128, "x.tif", compression="group4")
        case "jpeg":
            path = saved(tmp_path, GREY, "x.tif", compression="jpeg", quality=98)
        case "fraction":
            path = saved(tmp_path, GREY.astype(np.float32) / 255, "x.tif")
        case "signed":
            path = tmp_path / "x.tif"
            path.write_bytes(tiff(chest().astype(np.int16) - 1000, sample_format=2))
    decoded = read_image(path)
    expected = np.where(GREY > 128, 255, 0) if kind == "one-bit" else GREY
    scale = 255 / np.iinfo(np.uint8).max if decoded.display.max() < 256 else 255 / 65535
    assert np.abs(decoded.display * scale - expected).mean() < 1


@pytest.mark.parametrize(("name", "options"), [("x.tif", {}), ("x.webp", {}), ("x.png", {})])
def test_a_file_of_several_images_is_refused(tmp_path: Path, name: str, options: dict) -> None:
    path = saved(tmp_path, GREY, name, save_all=True, append_images=[Image.fromarray(255 - GREY)], **options)
    assert reason_of(path) is RefusalReason.UNSUPPORTED_MODALITY


def test_a_smaller_copy_in_a_tiff_does_not_count(tmp_path: Path) -> None:
    small = Image.fromarray(GREY[::2, ::2])
    small.encoderinfo = {"tiffinfo": {254: 1}}
    path = saved(tmp_path, GREY, "x.tif", save_all=True, append_images=[small])
    np.testing.assert_array_equal(read_image(path).display, GREY)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [True, False])
def test_webp_is_read(tmp_path: Path, mode: str, lossless: bool) -> None:
    path = saved(tmp_path, Image.fromarray(GREY).convert(mode), "x.webp", lossless=lossless, quality=95)
    assert np.abs(read_image(path).display.astype(int) - GREY).max() <= (0 if lossless else 8)


@pytest.mark.parametrize("name", ["x.tif", "x.webp"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_a_truncated_tiff_or_webp_is_undecodable(tmp_path: Path, name: str, share: float) -> None:
    path = saved(tmp_path, GREY, name)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert reason_of(path) is RefusalReason.UNDECODABLE


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_a_tiff_is_turned_as_it_states(tmp_path: Path, orientation: int, deep: bool) -> None:
    pixels = np.dstack([chest()] * 3) if deep else GREY
    (tmp_path / "x.tif").write_bytes(tiff(pixels, photometric=2 if deep else 1, t274=orientation))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    with Image.open(saved(tmp_path, GREY, "x.png", exif=exif)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    display = read_image(tmp_path / "x.tif").display
    np.testing.assert_array_equal(display >> 4 if deep else display, expected)


def test_a_dicom_file_that_is_a_tiff_too_is_a_dicom_file(tmp_path: Path) -> None:
    made = dataset(chest(), bits=12, PatientID="4711")
    made.preamble = tiff(GREY)[:8].ljust(128, b"\0")
    assert read_image(write(tmp_path / "x.tif", made)).metadata["PatientID"] == "4711"


@pytest.mark.parametrize(
    "encode",
    [
        lambda deep: imagecodecs.jpeg_encode(deep, level=98, bitspersample=12),
        lambda deep: imagecodecs.jpeg_encode(np.dstack([deep] * 3), level=98, bitspersample=12),
        lambda deep: imagecodecs.jpeg_encode(deep, lossless=True, bitspersample=12),
        lambda deep: imagecodecs.jpegls_encode(deep),
    ],
    ids=["12-bit", "12-bit-colour", "lossless", "JPEG-LS"],
)
def test_a_deep_jpeg_keeps_its_depth_and_needs_its_end(tmp_path: Path, encode: Callable) -> None:
    data = bytes(encode(chest()))
    (tmp_path / "x.jpg").write_bytes(data)
    assert np.abs(read_image(tmp_path / "x.jpg").display.astype(int) - chest()).max() <= 8
    (tmp_path / "x.jpg").write_bytes(data[: len(data) * 9 // 10])
    assert reason_of(tmp_path / "x.jpg") is RefusalReason.UNDECODABLE


@pytest.mark.parametrize("space", ["CMYK", "YCCK"])
def test_ink_in_adobes_sense_is_read_as_light(tmp_path: Path, space: str) -> None:
    ink = np.zeros((*GREY.shape, 4), np.uint8)
    ink[..., :3], ink[..., 3] = 255, GREY
    (tmp_path / "x.jpg").write_bytes(
        imagecodecs.jpeg_encode(ink, level=98, colorspace="CMYK", outcolorspace=space)
    )
    assert np.abs(read_image(tmp_path / "x.jpg").display.astype(int) - GREY).max() <= 8


def test_a_large_image_works_at_1024_and_displays_in_full(tmp_path: Path) -> None:
    large = (chest(1100, 880) >> 4).astype(np.uint8)
    Image.fromarray(large).save(tmp_path / "x.png")
    decoded = read_image(tmp_path / "x.png")
    assert decoded.display.shape == (1100, 880)
    assert decoded.working.shape == decoded.preview.shape == (1024, 819)
    assert abs(decoded.working.mean() - large.mean() * 257) < 100


def test_the_same_pixels_have_the_same_hash_in_any_file(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY).convert("RGB").save(tmp_path / "b.png")
    Image.fromarray(GREY.T.copy()).save(tmp_path / "c.png")
    a, b, c = (read_image(tmp_path / f"{name}.png").pixel_sha256 for name in "abc")
    assert a == b != c


def test_nothing_becomes_a_phantom_by_claim(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png", Slot.PHANTOM).slot is Slot.CXR


def test_a_slice_claimed_as_ct_is_taken_to_be_in_the_lung_window(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "x.png")
    decoded = read_image(tmp_path / "x.png", Slot.CT)
    hounsfield = decoded.display * decoded.slope + decoded.intercept
    assert decoded.slot is Slot.CT
    np.testing.assert_allclose(hounsfield, -1350 + GREY / 255 * 1500)
    np.testing.assert_allclose(decoded.working, (np.clip(hounsfield, -1024, 3071) + 1024) * 16, atol=0.51)


@pytest.mark.parametrize("claimed", [None, Slot.CXR, Slot.CT])
def test_a_marked_phantom_is_a_phantom_whatever_is_claimed(tmp_path: Path, claimed: Slot | None) -> None:
    mark = PngInfo()
    mark.add_text("Synthetic", "Hilum phantom")
    Image.fromarray(GREY).save(tmp_path / "x.png", pnginfo=mark)
    decoded = read_image(tmp_path / "x.png", claimed)
    assert (decoded.slot, decoded.synthetic) == (Slot.PHANTOM, True)


@pytest.mark.parametrize(
    "content", [b"", b"not an image at all\n", b"GIF89a" + b"\0" * 200, b"PK\3\4" + b"\0" * 99]
)
def test_what_is_no_image_is_not_an_image_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    assert reason_of(tmp_path / "x.png") is RefusalReason.NOT_AN_IMAGE


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_a_truncated_image_is_undecodable(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    Image.fromarray(GREY).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert reason_of(path) is RefusalReason.UNDECODABLE


def test_a_thumbnail_is_too_small(tmp_path: Path) -> None:
    Image.fromarray(GREY[:63]).save(tmp_path / "x.png")
    assert reason_of(tmp_path / "x.png") is RefusalReason.TOO_SMALL


@pytest.mark.parametrize("deep", [False, True])
def test_a_blank_image_is_too_uniform(tmp_path: Path, deep: bool) -> None:
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
def test_an_image_that_declares_too_much_is_too_large_before_it_is_decoded(
    tmp_path: Path, width: int, height: int
) -> None:
    (tmp_path / "x.png").write_bytes(png_declaring(width, height))
    assert reason_of(tmp_path / "x.png") is RefusalReason.TOO_LARGE


def test_a_file_over_the_limit_is_too_large_unread(tmp_path: Path) -> None:
    with (tmp_path / "x.png").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert reason_of(tmp_path / "x.png") is RefusalReason.TOO_LARGE
