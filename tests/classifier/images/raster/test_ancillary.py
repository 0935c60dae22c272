"""What no pixel depends on never decides whether a file is read."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.errors import Refused
from classifier.images.raster.ancillary import without_ancillary_chunks
from classifier.images.read import read_image
from classifier.reasons import RefusalReason
from tests.classifier.images.samples import chest

GREY = chest(top=255).astype(np.uint8)
MIB = 1 << 20


def chunk(kind: bytes, data: bytes, *, crc: int = 0) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data) ^ crc)


def png(*ancillary: bytes) -> bytes:
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in GREY))
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", *GREY.shape[::-1], 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(ancillary) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "ancillary",
    [
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2 * MIB))),
        chunk(b"iCCP", b"no profile"),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 2 * MIB)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * 3 * MIB)),
        chunk(b"tEXt", b"Comment\0text", crc=1),
        chunk(b"gAMA", b""),
        chunk(b"eXIf", b"II*\0nonsense"),
        chunk(b"juNk", bytes(100)),
    ],
    ids=["large iCCP", "broken iCCP", "zTXt", "iTXt", "wrong CRC", "empty gAMA", "eXIf", "unknown"],
)
def test_an_ancillary_chunk_never_decides(tmp_path: Path, ancillary: bytes) -> None:
    (path := tmp_path / "x.png").write_bytes(png(ancillary))
    np.testing.assert_array_equal(read_image(path).display, GREY)


def test_the_critical_chunks_of_a_png_file_stay_as_they_are() -> None:
    plain = png()
    assert without_ancillary_chunks(png(chunk(b"tIME", bytes(7)))) == plain
    assert without_ancillary_chunks(plain[:-20]) == plain[:-20]


def jpeg(**options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_file_that_lacks_its_end_marker_alone_is_read_and_noted(tmp_path: Path, missing: int) -> None:
    (path := tmp_path / "x.jpg").write_bytes(jpeg()[:-missing])
    (whole := tmp_path / "whole.jpg").write_bytes(jpeg())
    decoded = read_image(path)
    np.testing.assert_array_equal(decoded.display, read_image(whole).display)
    assert decoded.notes == {"end_marker_missing": {}}
    assert read_image(whole).notes == {}


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("missing", [3, 4, 12, 200])
def test_a_jpeg_file_that_lacks_pixels_too_is_refused(tmp_path: Path, options: dict, missing: int) -> None:
    (path := tmp_path / "x.jpg").write_bytes(jpeg(**options)[:-missing])
    with pytest.raises(Refused) as refused:
        read_image(path)
    assert refused.value.reason is RefusalReason.UNDECODABLE
