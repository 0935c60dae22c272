"""The parsing helper: the returns of reading directly, from a process that is limited and replaceable."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.deidentify.pseudonyms import DeidentifyOptions, Pseudonyms
from classifier.images.limits import MIB, Limits
from classifier.images.raster.png import read_working
from classifier.images.read import read_image
from classifier.images.sandbox import helper as helper_process
from classifier.images.sandbox.client import ParsingHelper, ResourcesExhausted
from classifier.reasons import RefusalReason
from tests.classifier.images.samples import chest, dataset, write

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def helper() -> Iterator[ParsingHelper]:
    with ParsingHelper() as started:
        yield started


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write(tmp_path / "x.dcm", dataset(chest(1300, 1100), bits=12, PatientID="4711"))


def refusal(helper: ParsingHelper, path: Path, limits: Limits | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        helper.parse(path, path.parent, limits)
    return caught.value


def test_the_helper_results_what_reading_directly_gives(helper: ParsingHelper, scan: Path) -> None:
    result, direct = helper.parse(scan, scan.parent), read_image(scan)
    assert result.as_json() == direct.as_json()
    np.testing.assert_array_equal(read_working(scan.parent / result.files["working"]), direct.working)
    for name in ("display", "preview"):
        with Image.open(scan.parent / result.files[name]) as image:
            np.testing.assert_array_equal(np.asarray(image), getattr(direct, name))


def test_what_is_claimed_reaches_the_reading(helper: ParsingHelper, tmp_path: Path) -> None:
    Image.fromarray((chest() >> 4).astype(np.uint8)).save(tmp_path / "x.png")
    assert helper.parse(tmp_path / "x.png", tmp_path).slot is Slot.CXR
    assert helper.parse(tmp_path / "x.png", tmp_path, stated_slot="ct").slot is Slot.CT


def test_identity_is_removed_before_anything_is_read(helper: ParsingHelper, tmp_path: Path) -> None:
    made = dataset(
        chest(), bits=12, PatientID="4711", PatientName="Secretova^Anna", InstitutionName="St Anna"
    )
    path = write(tmp_path / "x.dcm", made)
    removal = DeidentifyOptions(b"a key of thirty-two random bytes")
    result, plain = helper.parse(path, tmp_path, deidentify=removal), helper.parse(path, tmp_path)
    assert result.metadata["PatientID"] == Pseudonyms(removal.key).patient("4711")
    assert "InstitutionName" not in result.metadata
    assert b"Secretova" not in (tmp_path / result.files["original"]).read_bytes()
    assert result.pixel_sha256 == plain.pixel_sha256
    assert "original" not in plain.files


def test_a_refusal_comes_through_with_its_reason(helper: ParsingHelper, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no image")
    assert refusal(helper, tmp_path / "x.png").reason is RefusalReason.NOT_AN_IMAGE
    assert not (tmp_path / "display.png").exists()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(wall_seconds=0.001), RefusalReason.UNDECODABLE),
        (Limits(output_bytes=20_000), RefusalReason.TOO_LARGE),
        pytest.param(Limits(memory_bytes=320 * MIB), RefusalReason.TOO_LARGE, marks=linux),
    ],
    ids=["time", "output", "memory"],
)
def test_a_file_that_costs_too_much_is_refused_and_the_helper_lives_on(
    helper: ParsingHelper, tmp_path: Path, limits: Limits, reason: RefusalReason
) -> None:
    large = np.tile((chest(200, 200) >> 4).astype(np.uint8), (20, 20))
    Image.fromarray(large).save(tmp_path / "x.png", compress_level=1)
    before = helper._process.pid
    assert refusal(helper, tmp_path / "x.png", limits).reason is reason
    Image.fromarray((chest() >> 4).astype(np.uint8)).save(tmp_path / "x.png")
    assert helper.parse(tmp_path / "x.png", tmp_path).rows == 96
    assert helper._process.pid == before


def misbehave_by_crashing(request: dict) -> dict:
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def misbehave_by_being_killed(request: dict) -> dict:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def misbehave_by_spinning(request: dict) -> dict:
    while True:
        pass


def misbehave_by_sleeping(request: dict) -> dict:
    time.sleep(60)
    return {}


def misbehave_by_raising(request: dict) -> dict:
    raise AssertionError


@pytest.mark.parametrize(
    ("misbehave", "limits", "result"),
    [
        (misbehave_by_crashing, Limits(), {"refused": "undecodable", "detail": "the decoder crashed"}),
        (misbehave_by_raising, Limits(), {"exhausted": "parsing was killed"}),
        (misbehave_by_being_killed, Limits(), {"exhausted": "parsing was killed"}),
        (misbehave_by_spinning, Limits(cpu_seconds=1), {"exhausted": "parsing took too long"}),
        (misbehave_by_sleeping, Limits(wall_seconds=0.2), {"exhausted": "parsing took too long"}),
    ],
)
def test_only_a_crash_is_surely_the_files_own_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, misbehave: object, limits: Limits, result: dict
) -> None:
    monkeypatch.setattr(helper_process, "_parse", misbehave)
    request = {"path": str(tmp_path / "x"), "out_dir": str(tmp_path), "limits": asdict(limits)}
    assert helper_process._handle(request) == result


def test_a_file_that_a_slow_machine_did_not_finish_is_reported_from_a_bad_one(
    helper: ParsingHelper, scan: Path
) -> None:
    assert isinstance(refusal(helper, scan, Limits(wall_seconds=0.001)), ResourcesExhausted)
    scan.write_text("no image")
    assert not isinstance(refusal(helper, scan), ResourcesExhausted)


def test_a_helper_that_was_killed_is_started_again(scan: Path) -> None:
    with ParsingHelper() as helper:
        os.kill(helper._process.pid, signal.SIGKILL)
        assert helper.parse(scan, scan.parent).rows == 1300


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_file(helper: ParsingHelper, scan: Path) -> None:
    with pytest.raises(FileNotFoundError):
        helper.parse(scan, scan.parent / "absent")


def test_a_file_that_is_not_there_is_no_refusal(helper: ParsingHelper, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        helper.parse(tmp_path / "absent.dcm", tmp_path)


def test_several_threads_share_one_helper(helper: ParsingHelper, tmp_path: Path) -> None:
    results: dict[int, int] = {}

    def work(rows: int) -> None:
        folder = tmp_path / str(rows)
        folder.mkdir()
        path = write(folder / "x.dcm", dataset(chest(rows, 80), bits=12))
        results[rows] = helper.parse(path, folder).rows

    threads = [threading.Thread(target=work, args=(rows,)) for rows in (90, 100, 110, 120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {rows: rows for rows in (90, 100, 110, 120)}


@linux
def test_the_helper_is_given_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "not-for-the-helper")
    with ParsingHelper() as helper:
        environment = Path(f"/proc/{helper._process.pid}/environ").read_bytes()
    assert b"not-for-the-helper" not in environment


@linux
def test_the_helper_has_no_way_to_new_privileges_nor_torch(helper: ParsingHelper) -> None:
    status = Path(f"/proc/{helper._process.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "torch" not in Path(f"/proc/{helper._process.pid}/maps").read_text()


@linux
def test_the_helper_has_no_network_where_the_system_lets_it_give_it_up(helper: ParsingHelper) -> None:
    theirs = os.readlink(f"/proc/{helper._process.pid}/ns/net")
    if theirs == os.readlink("/proc/self/ns/net"):
        pytest.skip("the system does not let a process leave its network")
    interfaces = Path(f"/proc/{helper._process.pid}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
