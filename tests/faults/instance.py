"""A whole Hilum of real processes on a folder of its own, to be hurt."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 240.0
UPLOAD = """
import io, numpy as np
from PIL import Image
from webapp.accounts.models import Site, User
from webapp.scans.services import upload_store
for seed in range({first}, {first} + {count}):
    grey = np.random.default_rng(seed).integers(0, 65_000, (300, 260), dtype=np.uint16)
    grey[:, ::3] //= 4
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    upload_store(user=User.objects.get(username="clinician"), site=Site.objects.get(slug="demo"),
                 chunks=[file.getvalue()], filename=f"{{seed}}.png")
"""


class Instance:
    """What `make run` starts, with one slow model; state is read from its database file."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        surroundings = {k: v for k, v in os.environ.items() if not k.startswith(("HILUM", "DJANGO", "REDIS"))}
        surroundings.pop("DATABASE_URL", None)
        self.environment = surroundings | {
            "HILUM_ENV": "demo",
            "HILUM_DATA": str(self.data),
            "HILUM_DEVICE": "cpu",
            "HILUM_BATCH": "4",
            "HILUM_ENGINE": "pytorch",  # the slowest: a batch is to last until something is done to it
            "OMP_WAIT_POLICY": "PASSIVE",
            "PORT": str(free_port()),
            "DICOM_PORT": str(free_port()),
            **environment,
        }
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._uploaded = 0

    def start(self, model: Path) -> None:
        """Up and warm, with `model` as the active one of its slot, by a person's word."""
        self.manage("migrate", "--no-input", "--verbosity", "0")
        self.manage("create_demo")
        self.manage("install_models", str(model.parent))
        self.manage("shell", "-c", promotion_of(model))
        log = (self.data / "supervisor.log").open("wb")
        self._supervisor = subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "supervise.py")],
            env=self.environment,
            stdout=log,
            stderr=log,
        )
        self.wait_until(lambda: "is ready" in self.log_text())

    def stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.send_signal(signal.SIGTERM)
            self._supervisor.wait(30)

    def upload(self, count: int) -> None:
        """Upload so many different images, through the service that page and API use."""
        self.manage("shell", "-c", UPLOAD.format(first=self._uploaded, count=count))
        self._uploaded += count

    def kill(self, worker: str) -> int:
        """`kill -9` of a worker's process; returns its id."""
        pid = self.pid_of(worker)
        os.kill(pid, signal.SIGKILL)
        return pid

    @contextmanager
    def paused(self, worker: str) -> Iterator[None]:
        pid = self.pid_of(worker)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def pid_of(self, worker: str) -> int:
        [readiness] = (self.data / "run").glob(f"{worker}-*.json")
        return json.loads(readiness.read_text())["pid"]

    def rows(self, query: str) -> list[tuple]:
        with sqlite3.connect(f"file:{self.data / 'hilum.sqlite3'}?mode=ro", uri=True, timeout=20) as database:
            return database.execute(query).fetchall()

    def count(self, table: str, status: str) -> int:
        return self.rows(f"SELECT count(*) FROM {table} WHERE status = '{status}'")[0][0]

    def wait_until(self, condition: Callable[[], bool], every: float = 0.005) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (
                f"it did not happen; output of the services:\n{self.log_text()}"
            )
            assert self._supervisor is None or self._supervisor.poll() is None, self.log_text()
            time.sleep(every)

    def assert_every_upload_reaches_its_result_once(self) -> None:
        wanted = self._uploaded
        self.wait_until(lambda: self.count("analysis_analysis", "done") >= wanted, every=0.2)
        assert self.rows("SELECT status, count(*) FROM scans_upload GROUP BY 1") == [("done", wanted)]
        assert self.rows("SELECT status, count(*) FROM analysis_analysis GROUP BY 1") == [("done", wanted)]
        assert self.rows("SELECT count(*), count(DISTINCT upload_id) FROM scans_scan") == [(wanted, wanted)]
        assert self.rows("SELECT count(*) FROM analysis_analysiscam") == [(wanted,)]

    def log_text(self) -> str:
        log = self.data / "supervisor.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def manage(self, *arguments: str) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def promotion_of(model: Path) -> str:
    return f"""
from classifier.artifact.header import read_header
from webapp.accounts.models import User
from webapp.registry.models import ModelVersion
from webapp.registry.services import model_promote
version = ModelVersion.objects.get(sha256=read_header({str(model)!r}).sha256)
version.status == "active" or model_promote(
    model_version=version, by=User.objects.get(username="admin"), reason="under test", override=True)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
