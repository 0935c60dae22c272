"""The DICOM listener as a process, killed while four associations send to it, and short of space."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from pynetdicom import AE

from tests.faults.instance import ROOT, free_port
from tests.webapp.dicom.objects import DX, radiograph

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

IMAGES, ASSOCIATIONS = 120, 4


class ListenerProcess:
    """`manage.py dicom_listener` on a data folder of its own."""

    def __init__(self, folder) -> None:
        self.data, self.port = folder, free_port()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HILUM", "DJANGO", "REDIS"))}
        kept.pop("DATABASE_URL", None)
        own = {"HILUM_ENV": "demo", "HILUM_DATA": str(folder), "DICOM_PORT": str(self.port)}
        self.environment = kept | own
        self.process: subprocess.Popen | None = None

    def manage(self, *arguments: str) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        subprocess.run(command, env=self.environment, check=True, capture_output=True)

    def start(self, **environment: str) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), "dicom_listener", "--skip-checks"]
        self.process = subprocess.Popen(command, env=self.environment | environment)

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(60)

    def filenames(self) -> list[str]:
        database = f"file:{self.data / 'hilum.sqlite3'}?mode=ro"
        with sqlite3.connect(database, uri=True, timeout=20) as connection:
            return [name for (name,) in connection.execute("SELECT filename FROM scans_upload")]


class Sender(threading.Thread):
    """Sends its images until each was reported as stored, as a modality's queue does.

    `refused` are the statuses other than success, `broken` counts lost associations.
    """

    def __init__(self, port: int, images: list) -> None:
        super().__init__(daemon=True)
        self.port, self.left = port, list(images)
        self.refused: set[int] = set()
        self.broken = 0

    def run(self) -> None:
        while self.left:
            entity = AE("MODALITY")
            entity.add_requested_context(DX)
            entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
            association = entity.associate("127.0.0.1", self.port, ae_title="HILUM")
            if association.is_established:
                self._send(association)
            else:
                time.sleep(0.2)

    def _send(self, association) -> None:
        while self.left:
            try:
                status = association.send_c_store(self.left[0]).get("Status")
            except RuntimeError:  # the association was aborted between two images
                status = None
            if status is None:
                self.broken += 1
                return
            if status == 0x0000:
                self.left.pop(0)
            else:
                self.refused.add(status)
                time.sleep(0.2)
        association.release()


@pytest.fixture
def receiving(tmp_path):
    listener = ListenerProcess(tmp_path)
    listener.manage("migrate", "--no-input", "--verbosity", "0")
    listener.manage("create_demo", "--skip-checks")
    listener.manage("create_dicom_sender", "demo", "*", "--network", "127.0.0.0/8", "--skip-checks")
    yield listener
    if listener.process.poll() is None:
        listener.end(signal.SIGKILL)


def wait_until(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_everything_arrives_once_though_the_listener_is_killed_and_short_of_space(receiving):
    images = [radiograph(InstanceNumber=number) for number in range(IMAGES)]
    senders = [Sender(receiving.port, images[number::ASSOCIATIONS]) for number in range(ASSOCIATIONS)]
    receiving.start()
    for sender in senders:
        sender.start()
    wait_until(lambda: len(receiving.filenames()) >= 20)
    receiving.end(signal.SIGKILL)
    reported = IMAGES - sum(len(sender.left) for sender in senders)
    assert reported <= len(receiving.filenames()) <= reported + ASSOCIATIONS
    receiving.start(HILUM_DISK_FLOOR=str(1 << 60))
    wait_until(lambda: all(sender.refused for sender in senders))
    assert {status for sender in senders for status in sender.refused} == {0xA700}
    receiving.end(signal.SIGTERM)
    assert receiving.process.returncode == 0
    receiving.start()
    for sender in senders:
        sender.join(240)
    assert not any(sender.left for sender in senders)
    assert sum(sender.broken for sender in senders) >= 1
    assert sorted(receiving.filenames()) == sorted(f"{image.SOPInstanceUID}.dcm" for image in images)
    left = set((receiving.data / "incoming").iterdir())
    assert len(left) <= ASSOCIATIONS  # of the killed process; the sweeper removes them
