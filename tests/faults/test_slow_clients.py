"""Clients that send or read as slowly as they can, against the web server of `make run`.

SLOW_CLIENT_SECONDS sets how long each attack lasts.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.faults.instance import ROOT, Instance, free_port

pytestmark = pytest.mark.slow

CONNECTIONS = 64
SECONDS = float(os.environ.get("SLOW_CLIENT_SECONDS", "20"))
BYTE_EVERY = 1.0
PAGE_SECONDS = 1.0
FORM, RAW = "application/x-www-form-urlencoded", "application/octet-stream"


class Site:
    """The web server alone, with its database and the demo accounts."""

    def __init__(self, folder: Path) -> None:
        self.instance = Instance(folder, HILUM_DEMO_PASSWORD="a long demo password")
        for arguments in (["migrate", "--no-input", "--verbosity", "0"], ["create_demo", "--skip-checks"]):
            self.instance.manage(*arguments)
        self.port = free_port()
        config = ROOT / "deploy" / "gunicorn.conf.py"
        options = ["--config", str(config), "--bind", f"127.0.0.1:{self.port}", "--workers", "1"]
        command = [sys.executable, "-m", "gunicorn", *options, "webapp.wsgi:application"]
        with Path(folder, "web.log").open("wb") as log:
            self.server = subprocess.Popen(
                command, cwd=ROOT, env=self.instance.environment, stdout=log, stderr=log
            )
        self.cookies: dict[str, str] = {}
        while not self._listens():
            time.sleep(0.1)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def sign_in(self) -> None:
        _, page = self.ask("GET", "/sign-in/")
        token = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page)[1].decode()
        form = {
            "csrfmiddlewaretoken": token,
            "username": "clinician",
            "password": self.instance.environment["HILUM_DEMO_PASSWORD"],
        }
        status, _ = self.ask("POST", "/sign-in/", urlencode(form), {"Content-Type": FORM})
        assert status == 302

    def ask(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, {"Cookie": self.cookie, **(headers or {})})
        response = connection.getresponse()
        for name, value in response.getheaders():
            if name == "Set-Cookie":
                key, _, text = value.split(";")[0].partition("=")
                self.cookies[key] = text
        return response.status, response.read()

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("slow"))
    site.sign_in()
    yield site
    site.server.terminate()
    site.server.wait(60)


class Attack:
    """So many connections that each send one byte a second, and connect again when they are closed."""

    def __init__(self, port: int, opening: bytes, *, reads: bool = True) -> None:
        self.port, self.opening, self.reads = port, opening, reads
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._dribble) for _ in range(CONNECTIONS)]

    def __enter__(self) -> Attack:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _dribble(self) -> None:
        while not self.stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=30) as client:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    client.sendall(self.opening)
                    while not self.stop.wait(BYTE_EVERY):
                        if self.reads:
                            client.sendall(b"a")
                        elif not client.recv(1):
                            break
            except OSError:
                self.stop.wait(0.1)


def head(site: Site, method: str, path: str, kind: str = "", size: int = 0, *, known: bool = False) -> bytes:
    cookie = site.cookie if known else f"hilum_csrf={'a' * 32}"
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{site.port}", f"Cookie: {cookie}"]
    if known:
        lines.append(f"X-CSRFToken: {site.cookies['hilum_csrf']}")
    if size:
        lines += [f"Content-Type: {kind}", f"Content-Length: {size}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def worst_page(site: Site) -> float:
    """The longest that a colleague waited for the worklist while the attack went on."""
    time.sleep(1)
    worst, end = 0.0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        began = time.monotonic()
        status, _ = site.ask("GET", "/")
        worst = max(worst, time.monotonic() - began)
        assert status == 200
        time.sleep(0.2)
    print(f"worst page in {SECONDS:.0f} s: {worst * 1000:.0f} ms")
    return worst


def bundle() -> str:
    files = (ROOT / "static" / "dist").rglob("*.js")
    largest = max(files, key=lambda file: file.stat().st_size)
    return f"/static/{largest.relative_to(ROOT / 'static')}"


ATTACKS = {
    "head": lambda site: head(site, "GET", "/sign-in/")[:-4] + b"\r\nX-Slow: ",
    "form": lambda site: head(site, "POST", "/sign-in/", FORM, 10_000),
    "large form": lambda site: head(site, "POST", "/sign-in/", FORM, 2_000_000),
    "upload by a outsider": lambda site: head(site, "POST", "/upload/file/", RAW, 50_000_000),
    "upload by a user": lambda site: head(site, "POST", "/upload/file/", RAW, 50_000_000, known=True),
    "reading": lambda site: head(site, "GET", bundle()),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_colleagues_page_stays_fast_while_slow_clients_hold_on(site: Site, name: str) -> None:
    with Attack(site.port, ATTACKS[name](site), reads=name != "reading"):
        worst = worst_page(site)
    assert worst < PAGE_SECONDS
