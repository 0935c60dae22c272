"""TIFF files with samples that few programs write: planes apart, signs, fractions, alpha."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from classifier.images.read import read_image
from tests.classifier.images.samples import chest

GREY = chest(top=65535)
RGB, BLACK_IS_ZERO, WHITE_IS_ZERO = 2, 1, 0
FORMATS = {"u": 1, "i": 2, "f": 3}


def tiff(path: Path, pixels: np.ndarray, photometric: int, *, separate: bool = False, extra: int = 0) -> Path:
    """A little-endian TIFF file of `pixels` (H, W[, samples]), each plane in one strip (TIFF 6.0)."""
    planes = [pixels] if not separate else list(np.moveaxis(pixels, -1, 0))
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    strips = [np.ascontiguousarray(plane).tobytes() for plane in planes]
    at = 8 + np.cumsum([0, *map(len, strips)])
    short, long = "H", "L"
    tags: list[tuple[int, str, list[int]]] = [
        (256, long, [pixels.shape[1]]),
        (257, long, [pixels.shape[0]]),
        (258, short, [8 * pixels.dtype.itemsize] * samples),
        (259, short, [1]),
        (262, short, [photometric]),
        (273, long, [int(start) for start in at[:-1]]),
        (277, short, [samples]),
        (278, long, [pixels.shape[0]]),
        (279, long, [len(strip) for strip in strips]),
        (284, short, [2 if separate else 1]),
        *([(338, short, [extra])] if extra else []),
        (339, short, [FORMATS[pixels.dtype.kind]] * samples),
    ]
    entries, more = b"", b""
    rest_at = int(at[-1]) + 2 + 12 * len(tags) + 4
    for tag, kind, values in tags:
        value = struct.pack(f"<{len(values)}{kind}", *values)
        if len(value) > 4:
            value, more = struct.pack("<L", rest_at + len(more)), more + value
        entries += struct.pack("<HHL", tag, 3 if kind == short else 4, len(values)) + value.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<L", int(at[-1]))
    directory = struct.pack("<H", len(tags)) + entries + b"\0" * 4
    path.write_bytes(head + b"".join(strips) + directory + more)
    return path


@pytest.mark.parametrize("samples", [3, 4])
def test_planes_that_are_stored_apart_are_one_image(tmp_path: Path, samples: int) -> None:
    alpha = [np.full_like(GREY, 65535)] * (samples - 3)
    pixels = np.stack([GREY, GREY, GREY, *alpha], -1)
    path = tiff(tmp_path / "x.tif", pixels, RGB, separate=True, extra=2 if alpha else 0)
    np.testing.assert_array_equal(read_image(path).display, GREY)


def test_signed_bytes_start_at_black(tmp_path: Path) -> None:
    pixels = ((GREY >> 8).astype(np.int16) - 128).astype(np.int8)
    decoded = read_image(tiff(tmp_path / "x.tif", pixels, BLACK_IS_ZERO))
    np.testing.assert_array_equal(decoded.display, GREY >> 8)


@pytest.mark.parametrize("extra", [1, 2], ids=["associated", "unassociated"])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, WHITE_IS_ZERO])
def test_deep_grey_with_alpha_is_read_over_black(tmp_path: Path, extra: int, photometric: int) -> None:
    opaque = np.full_like(GREY, 65535)
    opaque[:8] = 0
    stored = GREY if photometric == BLACK_IS_ZERO else 65535 - GREY
    path = tiff(tmp_path / "x.tif", np.stack([stored, opaque], -1), photometric, extra=extra)
    shown = read_image(path).display
    np.testing.assert_array_equal(shown[8:], GREY[8:])
    if extra == 2:
        assert not shown[:8].any()


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i2", "i4", "u4"])
def test_fractions_and_large_numbers_use_the_full_range(tmp_path: Path, kind: str) -> None:
    decoded = read_image(tiff(tmp_path / "x.tif", (GREY >> 6).astype(kind), BLACK_IS_ZERO))
    shown = np.corrcoef(decoded.display.ravel(), GREY.ravel())[0, 1]
    assert (decoded.display.min(), decoded.display.max()) == (0, 65535)
    assert shown > 0.9999


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_background(tmp_path: Path, odd: float) -> None:
    pixels = GREY.astype(np.float32)
    pixels[:10] = odd
    shown = read_image(tiff(tmp_path / "x.tif", pixels, BLACK_IS_ZERO)).display
    assert not shown[:10].any()
    assert np.corrcoef(shown[10:].ravel(), GREY[10:].ravel())[0, 1] > 0.9999
