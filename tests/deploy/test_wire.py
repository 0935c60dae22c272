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
FORM, RAW = "application/x-www-form-urlencoded", "application/octet-stream"


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
        ("/upload/file/", RAW, 401),
        ("/api/v1/scans/", "multipart/form-data; boundary=b", 401),
    ],
)
def test_a_outsider_gets_the_refusal_before_the_body_is_read(port, path, kind, status):
    for size in (40 << 20, 100 << 10):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
            client.sendall(head_of("POST", path, port, kind, size))
            assert client.recv(12) == f"HTTP/1.1 {status}".encode()


def test_a_refused_body_is_discarded_so_far_that_a_small_client_reads_the_refusal(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    for _ in range(2):
        connection.request("POST", "/upload/file/", bytes(200 << 10), {"Content-Type": RAW})
        result = connection.getresponse()
        assert (result.status, result.getheader("Connection")) == (401, "close")
        result.read()


def test_a_refused_body_is_not_discarded_for_long(port):
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(head_of("POST", "/upload/file/", port, RAW, 40 << 20))
        assert client.recv(12) == b"HTTP/1.1 401"
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            send_slowly(client)
    assert time.monotonic() - began < 10


def send_slowly(client: socket.socket) -> None:
    for _ in range(2000):
        client.send(bytes(64))
        time.sleep(0.05)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost:", None], ids=["head", "body"])
def test_a_client_that_falls_silent_gets_a_408_and_holds_no_thread(port, sent):
    whole = head_of("POST", "/sign-in/", port, FORM, 1000) + b"csrf"
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(sent or whole)
        assert client.recv(12) == b"HTTP/1.1 408"


def test_two_requests_that_arrive_at_once_both_get_their_response(port):
    one = head_of("GET", "/sign-in/", port)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(one + one[:10])
        time.sleep(0.3)
        client.sendall(one[10:])
        received = b""
        while received.count(b"HTTP/1.1 ") < 2:
            received += client.recv(1 << 16)


def test_a_head_without_end_is_refused(port):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (80 << 10))
        assert client.recv(12) == b"HTTP/1.1 431"


def head_of(method: str, path: str, port: int, kind: str = "", size: int = 0) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Cookie: hilum_csrf={'a' * 32}"]
    if size:
        lines += [f"Content-Type: {kind}", f"Content-Length: {size}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
