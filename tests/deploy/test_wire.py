"""What goes over a real socket to a real gunicorn, set up as in deployment."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.deploy.test_compose import ROOT
from tests.faults.instance import free_port

pytestmark = pytest.mark.slow

PATIENCE = 120.0
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> int:
    """A web server alone, which waits for a silent client one second; what is asked here needs no table."""
    folder, port = tmp_path_factory.mktemp("wire"), free_port()
    config = folder / "gunicorn.conf.py"
    config.write_text((ROOT / "deploy" / "gunicorn.conf.py").read_text() + "\nRECEIVE_SECONDS = 1.0\n")
    command = [sys.executable, "-m", "gunicorn", "--config", str(config), "--workers", "1"]
    environment = {"HILUM_ENV": "demo", "HILUM_DATA": str(folder / "data"), "HILUM_BIND": f"127.0.0.1:{port}"}
    with Path(folder, "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "webapp.wsgi:application"],
            cwd=ROOT,
            env=dict(os.environ) | environment,
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + PATIENCE
    while not listens(port):
        assert server.poll() is None, Path(folder, "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield port
    server.terminate()
    server.wait(60)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/sign-in/", FORM, 413),
        ("/upload/file/", "application/octet-stream", 403),
        ("/api/v1/scans/", "multipart/form-data; boundary=b", 401),
    ],
)
def test_who_sends_a_body_that_is_not_taken_gets_the_result_and_keeps_the_connection(
    port, path, kind, status
):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    for size in (40 << 20, 5 << 20):
        connection.request("POST", path, bytes(size), {"Content-Type": kind})
        result = connection.getresponse()
        assert result.status == status
        result.read()


def test_a_client_that_falls_silent_is_processed_and_gives_its_thread_back(port):
    token = "a" * 32
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        head = [
            "POST /sign-in/ HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            f"Cookie: hilum_csrf={token}",
            f"Content-Type: {FORM}",
            "Content-Length: 1000",
        ]
        client.sendall(("\r\n".join(head) + "\r\n\r\ncsrf").encode())
        assert client.recv(12) == b"HTTP/1.1 403"
