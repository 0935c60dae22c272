"""Names in archives that do not state their encoding."""

from __future__ import annotations

import binascii
import io
import struct
import zipfile
from pathlib import Path

import pytest

from classifier.images.archive.unpack import unpack
from tests.classifier.images.archives import image


def archive_with(tmp_path: Path, *names: bytes, extra: bytes = b"") -> Path:
    """An archive whose directory has these bytes for names, without the flag of UTF-8."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number, name in enumerate(names):
            entry = zipfile.ZipInfo(chr(ord("A") + number) * len(name))
            entry.extra = extra
            archive.writestr(entry, image(number))
    data = made.getvalue()
    for number, name in enumerate(names):
        data = data.replace(bytes([ord("A") + number]) * len(name), name)
    (tmp_path / "named.zip").write_bytes(data)
    (tmp_path / "out").mkdir()
    return tmp_path / "named.zip"


def names(path: Path) -> list[str]:
    return [member.name for member in unpack(path, path.parent / "out").members]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("肺/正面像.png", "utf-8"),
        ("肺/正面像.png", "shift_jis"),
        ("旧患者ー能.png", "shift_jis"),
        ("Röntgen/Größe.png", "cp850"),
        ("Röntgen/Größe.png", "cp1252"),
        ("рентген.png", "cp1251"),
        ("흉부.png", "cp949"),
    ],
)
def test_a_name_is_readable_whatever_wrote_it(tmp_path: Path, name: str, encoding: str) -> None:
    assert names(archive_with(tmp_path, name.encode(encoding))) == [name]


def test_names_of_one_computer_are_decoded_together(tmp_path: Path) -> None:
    given = ["正面像.png", "側面像.png", "再撮影.png"]
    assert names(archive_with(tmp_path, *(name.encode("shift_jis") for name in given))) == given


def test_utf_8_is_recognised_next_to_names_of_another_encoding(tmp_path: Path) -> None:
    path = archive_with(tmp_path, "Größe.png".encode(), "正面像.png".encode("shift_jis"))
    assert names(path) == ["Größe.png", "正面像.png"]


def test_the_unicode_name_of_the_extra_field_is_used_where_it_is_of_this_name(tmp_path: Path) -> None:
    raw, readable = b"\x8f\x8f.png", "מבט קדמי.png".encode()
    for checksum, shown in ((binascii.crc32(raw), readable.decode()), (1, None)):
        folder = tmp_path / str(checksum)
        folder.mkdir()
        body = b"\x01" + struct.pack("<L", checksum) + readable
        extra = struct.pack("<HH", 0x7075, len(body)) + body
        (found,) = names(archive_with(folder, raw, extra=extra))
        assert (found == shown) is (shown is not None)


def test_bytes_that_are_no_text_are_shown_all_the_same(tmp_path: Path) -> None:
    (found,) = names(archive_with(tmp_path, b"\xff\xfe\x00.png\x81"))
    assert found
