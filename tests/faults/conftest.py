from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.factories import spec_of
from tests.faults.instance import Instance, free_port


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory) -> Path:
    """A model that takes long enough over a batch to be killed at it."""
    from classifier.artifact.weights import save_artifact
    from classifier.networks.registry import network_for

    spec = spec_of("cxr", name="slow", layers=(2, 2, 2, 2), width=32, size=640)
    path = tmp_path_factory.mktemp("models") / "slow.safetensors"
    save_artifact(path, spec=spec, classifier_state=network_for(spec).state_dict(), card={})
    return path


@pytest.fixture(scope="module")
def instance(tmp_path_factory, slow_model):
    """One for all tests: what each uploads and hurts adds to what the others did."""
    instance = Instance(tmp_path_factory.mktemp("instance"))
    try:
        instance.start(slow_model)
        yield instance
    finally:
        instance.stop()


class Redis:
    """A redis-server of the test's own; `lose` kills it together with its data."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.folder.mkdir()
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while (
            subprocess.run(
                ["redis-cli", "-p", str(self.port), "ping"], capture_output=True, check=False
            ).stdout.strip()
            != b"PONG"
        ):
            time.sleep(0.05)

    def lose(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder)


@pytest.fixture
def redis(tmp_path):
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    server = Redis(tmp_path / "redis")
    yield server
    if server.process.poll() is None:
        server.lose()


@pytest.fixture
def instance_on_redis(tmp_path, slow_model, redis):
    instance = Instance(tmp_path, REDIS_URL=redis.url)
    try:
        instance.start(slow_model)
        yield instance
    finally:
        instance.stop()
