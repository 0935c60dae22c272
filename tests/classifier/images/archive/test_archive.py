"""Archives: what becomes an image, what is skipped and why, and what is refused whole, whatever it states."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from classifier.errors import Refused
from classifier.images.archive import listing as archive_listing
from classifier.images.archive.listing import ARCHIVE_ADVICE, Skip, Unpacked, is_archive
from classifier.images.archive.unpack import unpack
from classifier.images.limits import MIB, ArchiveLimits, Limits
from classifier.images.sandbox.client import ParsingHelper
from classifier.reasons import RefusalReason
from tests.classifier.images.archives import (
    encrypted,
    image,
    overlapping,
    stating_size,
    with_link,
    zeros,
    zipped,
)
from tests.classifier.images.samples import chest, dataset, write

SMALL = ArchiveLimits(images=3, entries=10, member_bytes=5000, total_bytes=20_000, ratio_from=20_000)
Unpack = Callable[..., Unpacked]


@pytest.fixture
def unpacked(tmp_path: Path) -> Unpack:
    def unpacked(data: bytes, limits: ArchiveLimits | None = None) -> Unpacked:
        (tmp_path / "x.zip").write_bytes(data)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").mkdir()
        return unpack(tmp_path / "x.zip", tmp_path / "out", limits)

    return unpacked


def refusal(unpacked: Unpack, data: bytes, limits: ArchiveLimits | None = None) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        unpacked(data, limits)
    assert caught.value.detail in ARCHIVE_ADVICE
    return caught.value.reason, caught.value.detail


def names(result: Unpacked) -> list[str]:
    return [member.name for member in result.members]


def skips(result: Unpacked) -> dict[str, tuple[str, ...]]:
    return {skipped.reason: skipped.names for skipped in result.skipped}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_images_come_out_whole_under_names_of_ours(unpacked: Unpack, tmp_path: Path, method: int) -> None:
    members = {"day 1/frontal.png": image(1), "day 2/frontal.png": image(2)}
    result = unpacked(zipped(members, method=method))
    assert names(result) == list(members)
    assert [(tmp_path / "out" / m.file).read_bytes() for m in result.members] == list(members.values())
    assert [member.size for member in result.members] == [200, 200]
    assert all(member.file.isdecimal() for member in result.members)
    assert not result.skipped


def test_a_dicom_file_is_known_by_its_content(unpacked: Unpack, tmp_path: Path) -> None:
    scan = write(tmp_path / "scan", dataset(chest())).read_bytes()
    result = unpacked(zipped({"IMAGES/IM0001": scan, "IMAGES/IM0002": b"IM", "LIES.dcm": b"not one"}))
    assert names(result) == ["IMAGES/IM0001", "LIES.dcm"]
    assert skips(result) == {Skip.NOT_AN_IMAGE: ("IMAGES/IM0002",)}


def test_what_lies_with_the_images_on_a_disc_is_skipped_by_reason(unpacked: Unpack, tmp_path: Path) -> None:
    directory = dataset(chest(), SOPClassUID="1.2.840.10008.1.3.10")
    result = unpacked(
        zipped(
            {
                "a.png": image(),
                "DICOMDIR": b"by its name",
                "index": write(tmp_path / "d", directory).read_bytes(),
                "AUTORUN.INF": b"[autorun]",
                "viewer/VIEWER.EXE": b"MZ",
                "README.txt": b"read me",
                "__MACOSX/._a.png": image(1),
                ".DS_Store": b"store",
                "Thumbs.db": b"thumbs",
                "empty.png": b"",
                "folder/": b"",
            }
        )
    )
    assert names(result) == ["a.png"]
    assert skips(result) == {
        Skip.SYSTEM_FILE: ("__MACOSX/._a.png", ".DS_Store", "Thumbs.db"),
        Skip.DICOMDIR: ("DICOMDIR", "index"),
        Skip.NOT_AN_IMAGE: ("AUTORUN.INF", "viewer/VIEWER.EXE", "README.txt"),
        Skip.EMPTY: ("empty.png",),
    }


def test_of_many_skipped_files_a_few_are_named_and_all_counted(unpacked: Unpack) -> None:
    result = unpacked(zipped({"a.png": image()} | {f"{n}.txt": b"text" for n in range(50)}))
    (skipped,) = result.skipped
    assert (skipped.count, len(skipped.names)) == (50, 5)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.png", "etc/passwd.png"),
        ("/root/.ssh/x.png", "root/.ssh/x.png"),
        ("C:\\scans\\..\\x.png", "C:/scans/x.png"),
        ("a\nb\u202egnp.exe\x1b[2J.png", "a\ufffdb\ufffdgnp.exe\ufffd[2J.png"),
        ("<b>a</b>.png", "<b>a</b>.png"),
        ("x" * 300 + ".png", "…" + "x" * 250 + ".png"),
        ("chest.png\0.exe", "chest.png"),
    ],
)
def test_a_name_is_data_and_never_a_path(unpacked: Unpack, tmp_path: Path, name: str, shown: str) -> None:
    data = zipped({name.replace("\0", "\x01"): image()}).replace(b"png\x01.exe", b"png\0.exe")
    assert names(unpacked(data)) == [shown]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1"]


def test_an_image_without_a_name_is_one_all_the_same(unpacked: Unpack) -> None:
    data = zipped({"#nobody#": image()}).replace(b"#nobody#", b"\0nobody#")
    assert names(unpacked(data)) == ["unnamed"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_both_kept(unpacked: Unpack, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a.png", image(1))
        archive.writestr("a.png", image(2))
    result = unpacked((tmp_path / "twice.zip").read_bytes())
    assert names(result) == ["a.png", "a.png"]
    assert (tmp_path / "out" / "1").read_bytes() != (tmp_path / "out" / "2").read_bytes()


def test_a_link_leads_nowhere(unpacked: Unpack) -> None:
    assert refusal(unpacked, with_link("a.png", "/etc/passwd")) == ("not_an_image", archive_listing.NO_IMAGE)


def test_an_archive_in_an_archive_is_opened_once(unpacked: Unpack, tmp_path: Path) -> None:
    deep = zipped({"deep.png": image(3)})
    inner = zipped({"x/b.png": image(2), "notes.txt": b"text", "deeper.zip": deep})
    result = unpacked(zipped({"a.png": image(1), "inner.zip": inner}))
    assert names(result) == ["a.png", "inner.zip/x/b.png"]
    assert skips(result) == {
        Skip.NOT_AN_IMAGE: ("inner.zip/notes.txt",),
        Skip.NESTED_TOO_DEEP: ("inner.zip/deeper.zip",),
    }
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_broken_archive_within_or_a_document_is_skipped_alone(unpacked: Unpack) -> None:
    inner = zipped({"b.png": image(2)})
    document = zipped({"[Content_Types].xml": b"<x/>", "word/media/image1.png": image(3)})
    result = unpacked(zipped({"a.png": image(1), "cut.zip": inner[:-30], "letter.docx": document}))
    assert names(result) == ["a.png"]
    assert skips(result) == {Skip.DAMAGED: ("cut.zip",), Skip.NOT_AN_IMAGE: ("letter.docx",)}


def test_one_broken_member_leaves_the_others_alone(unpacked: Unpack, tmp_path: Path) -> None:
    data = zipped({"a.png": image(1), "b.png": image(2)}, method=zipfile.ZIP_STORED)
    result = unpacked(data.replace(b"image 1 ", b"image X ", 1))
    assert (names(result), skips(result)) == (["b.png"], {Skip.DAMAGED: ("a.png",)})
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_one_member_too_large_leaves_the_others_alone(unpacked: Unpack, tmp_path: Path) -> None:
    result = unpacked(zipped({"a.png": image(1, 5001), "b.png": image(2, 5000)}), SMALL)
    assert (names(result), skips(result)) == (["b.png"], {Skip.TOO_LARGE: ("a.png",)})
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_what_is_put_before_an_archive_does_not_matter(unpacked: Unpack) -> None:
    data = zipped({"old.png": image(0)}) + zipped({"a.png": image(1)})
    assert names(unpacked(data)) == ["a.png"]


def test_the_large_form_of_the_format_is_read(unpacked: Unpack, tmp_path: Path) -> None:
    large = zeros(tmp_path / "64.zip", members=1, member_bytes=0)
    assert names(unpacked(large.read_bytes())) == ["0.png"]


GOOD = zipped({"a.png": image(1), "b.png": image(2)})


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (GOOD[:-10], "undecodable", archive_listing.DAMAGED),
        (GOOD[:100], "undecodable", archive_listing.DAMAGED),
        (b"PK\x03\x04" + b"\0" * 100, "undecodable", archive_listing.DAMAGED),
        (GOOD[:-6] + b"\xff\xff\xff\xff" + GOOD[-2:], "undecodable", archive_listing.DAMAGED),
        (GOOD.replace(b"PK\x01\x02", b"PK\x01\x07"), "undecodable", archive_listing.DAMAGED),
        (encrypted(GOOD), "undecodable", archive_listing.ENCRYPTED),
        (zipped({"a.png": image()}, method=zipfile.ZIP_LZMA), "undecodable", archive_listing.COMPRESSION),
        (zipped({"a.png": image()}, method=zipfile.ZIP_BZIP2), "undecodable", archive_listing.COMPRESSION),
        (stating_size(zipped({"a.png": image()}), 100), "undecodable", archive_listing.DAMAGED),
        (overlapping(["a.png", "b.png"], image()), "undecodable", archive_listing.OVERLAPS),
        (zipped({}), "not_an_image", archive_listing.NO_IMAGE),
        (zipped({"notes.txt": b"text"}), "not_an_image", archive_listing.NO_IMAGE),
        (
            zipped({"[Content_Types].xml": b"<x/>", "a.png": image()}),
            "not_an_image",
            archive_listing.A_DOCUMENT,
        ),
        (
            zipped({"META-INF/MANIFEST.MF": b"1", "a.png": image()}),
            "not_an_image",
            archive_listing.A_DOCUMENT,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_archive_of_which_nothing_can_be_used_is_refused_and_states_why(
    unpacked: Unpack, data: bytes, reason: str, detail: str
) -> None:
    assert is_archive(data)
    assert refusal(unpacked, data) == (reason, detail)


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (zipped({f"{n}.png": image(n) for n in range(4)}), SMALL),
        (zipped({f"{n}.txt": b"text" for n in range(11)}), SMALL),
        (zipped({f"{n}.png": image(n, 5000) for n in range(3)}), replace(SMALL, total_bytes=14_999)),
        (zipped({"a.png": image(1, 3000), "b.png": image(2, 3000)}),
         replace(SMALL, ratio=2, ratio_from=5000)),
        (zipped({f"{'n' * 60}{n}.png": image(n) for n in range(3)}), replace(SMALL, directory_bytes=300)),
        (overlapping([f"{n}.png" for n in range(9)], image(1, 5000)), SMALL),
    ],
    ids=["images", "entries", "total", "ratio", "directory", "overlap"],
)  # fmt: skip
def test_an_archive_that_is_too_much_is_refused_whole(
    unpacked: Unpack, data: bytes, limits: ArchiveLimits
) -> None:
    assert refusal(unpacked, data, limits) == ("too_large", archive_listing.TOO_MUCH)


@pytest.mark.parametrize(
    "nested",
    [
        zipped({"b.png": image(2, 9000)}),
        zipped({"META-INF/MANIFEST.MF": b"1", **{f"{n}.class": b"x" for n in range(12)}}),
        zipped({f"{n}.txt": b"x" for n in range(12)}),
    ],
    ids=["bytes", "program", "entries"],
)
def test_an_archive_within_an_archive_that_is_too_much_is_skipped_alone(
    unpacked: Unpack, nested: bytes
) -> None:
    data = zipped({"a.png": image(1), "viewer/in.zip": nested})
    found = unpacked(data, replace(SMALL, total_bytes=6000))
    assert [member.name for member in found.members] == ["a.png"]
    assert [(skip.reason, skip.names) for skip in found.skipped] == [("too_large", ("viewer/in.zip",))]


def test_what_comes_out_is_counted_whatever_the_directory_states(
    unpacked: Unpack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should zipfile one day believe the data more than the directory."""
    monkeypatch.setattr("classifier.images.archive.unpack._Unpacking._check_directory", lambda *_: None)
    data = zipped({f"{n}.png": image(n, 5000) for n in range(3)})
    assert refusal(unpacked, data, replace(SMALL, total_bytes=14_999))[0] == "too_large"


def test_a_black_image_passes_though_it_packs_a_thousand_to_one(unpacked: Unpack) -> None:
    black = image(0, 8) + bytes(40 * MIB)
    data = zipped({"black.png": black})
    assert len(black) > 900 * len(data)
    assert unpacked(data).members[0].size == len(black)


def test_the_advice_names_the_limits_that_hold() -> None:
    limits, text = ArchiveLimits(), ARCHIVE_ADVICE[archive_listing.TOO_MUCH].remedy
    assert f"{limits.images:,} images" in text
    assert f"{limits.total_bytes >> 30} GiB" in text
    assert f"{limits.member_bytes >> 20} MiB" in text


@pytest.fixture(scope="module")
def helper() -> Iterator[ParsingHelper]:
    with ParsingHelper() as started:
        yield started


def test_the_helper_unpacks_as_the_library_does(
    helper: ParsingHelper, unpacked: Unpack, tmp_path: Path
) -> None:
    direct = unpacked(zipped({"a.png": image(1), "in.zip": GOOD, "notes.txt": b"text"}))
    (tmp_path / "theirs").mkdir()
    assert helper.unpack(tmp_path / "x.zip", tmp_path / "theirs") == direct
    assert sorted(p.name for p in (tmp_path / "theirs").iterdir()) == sorted(m.file for m in direct.members)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(wall_seconds=0.001), RefusalReason.UNDECODABLE),
        (Limits(output_bytes=50), RefusalReason.TOO_LARGE),
    ],
    ids=["time", "output"],
)
def test_nothing_is_left_of_an_archive_that_cost_too_much(
    helper: ParsingHelper, tmp_path: Path, limits: Limits, reason: RefusalReason
) -> None:
    (tmp_path / "x.zip").write_bytes(GOOD)
    (tmp_path / "out").mkdir()
    with pytest.raises(Refused) as caught:
        helper.unpack(tmp_path / "x.zip", tmp_path / "out", limits)
    assert caught.value.reason is reason
    assert not list((tmp_path / "out").iterdir())


def test_an_archive_that_is_not_there_is_no_refusal(helper: ParsingHelper, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        helper.unpack(tmp_path / "absent.zip", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("members", "member_mib"), [(40, 128), (1, 5120)])
def test_five_gigabytes_are_refused_in_little_memory_disk_and_time(
    helper: ParsingHelper, tmp_path: Path, members: int, member_mib: int
) -> None:
    bomb = zeros(tmp_path / "bomb.zip", members=members, member_bytes=member_mib * MIB)
    (tmp_path / "out").mkdir()
    started = time.monotonic()
    with pytest.raises(Refused) as caught:
        helper.unpack(bomb, tmp_path / "out", Limits(memory_bytes=512 * MIB))
    assert caught.value.reason is RefusalReason.TOO_LARGE
    assert time.monotonic() - started < 5
    assert not list((tmp_path / "out").iterdir())
