"""A receiver that is down, a sender that is killed: every event arrives, in order of each scan, signed.

Real processes on a database of their own: SQLite, or a new one on the PostgreSQL of `DATABASE_URL`.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.faults.instance import ROOT, free_port
from tests.webapp.webhooks.test_deliveries import verified

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PATIENCE = 180.0
SUBSCRIBE = """
from webapp.accounts.models import Site, User
from webapp.webhooks.services import subscription_create
from webapp.webhooks.signing import secret_of
site, user = Site.objects.create(name="A", slug="a"), User.objects.create_user("ada")
print(secret_of(subscription_create(site=site, actor=user, url={url!r}, kinds=["analysis.done"])))
"""
TELL = """
from uuid import UUID
from django.db import transaction
from webapp.accounts.models import Site
from webapp.webhooks.kinds import EventKind
from webapp.webhooks.services import announce
site = Site.objects.get().pk
for n in range({first}, {end}):
    for scan in {scans!r}:
        with transaction.atomic():
            announce(site_id=site, kind=EventKind.ANALYSIS_DONE, subject=UUID(scan), data={{"n": n}})
"""


class Notifier:
    """The process that sends events, its database, and a way to make events in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.process = folder, None
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HILUM", "DJANGO", "REDIS"))}
        self.server = kept.pop("DATABASE_URL", "")
        self.environment = kept | {"HILUM_ENV": "demo", "HILUM_DATA": str(folder / "data")}
        self.name = f"hilum_notify_{uuid.uuid4().hex[:8]}"
        if self.server:
            self.ask_server(f'CREATE DATABASE "{self.name}"')
            self.environment["DATABASE_URL"] = self.url
        self.manage("migrate", "--verbosity", "0")

    @property
    def url(self) -> str:
        return urlsplit(self.server)._replace(path=f"/{self.name}").geturl()

    def ask_server(self, statement: str) -> None:
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(statement)

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self) -> None:
        with (self.folder / "notify.log").open("ab") as log:
            command = [sys.executable, "-m", "worker", "notify"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.kill()
        if self.server:
            self.ask_server(f'DROP DATABASE "{self.name}" WITH (FORCE)')

    def count(self, query: str) -> int:
        query = f"SELECT count(*) FROM {query}"
        if self.server:
            with psycopg.connect(self.url) as connection:
                return connection.execute(query).fetchone()[0]
        path = self.folder / "data" / "hilum.sqlite3"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20) as connection:
            return connection.execute(query).fetchone()[0]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (self.folder / "notify.log").read_text()
            time.sleep(0.1)


class Receiver:
    """Listens from `start` to `stop`; `got` is what it was sent and took, `held` lets it not result."""

    def __init__(self) -> None:
        self.port, self.got, self.held = free_port(), [], threading.Event()
        self.held.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                receiver.held.wait(PATIENCE)
                try:
                    self.send_response(204)
                    self.end_headers()
                except OSError:
                    pass  # who asked is gone

            def log_message(self, *args) -> None:
                return None

        self.handler = Handler

    def start(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), self.handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def notifier(tmp_path):
    notifier = Notifier(tmp_path)
    yield notifier
    notifier.close()


def test_a_receiver_that_was_down_gets_every_event_in_order_though_the_sender_is_killed(notifier):
    receiver, scans = Receiver(), [str(uuid.uuid4()) for _ in range(3)]
    secret = notifier.manage("shell", "-c", SUBSCRIBE.format(url=f"http://127.0.0.1:{receiver.port}/in"))
    secret = secret.splitlines()[-1]
    notifier.start()
    notifier.manage("shell", "-c", TELL.format(first=0, end=3, scans=scans))
    notifier.wait_until(lambda: notifier.count("webhooks_attempt WHERE error_code = 'unreachable'") >= 1)
    receiver.held.clear()
    receiver.start()
    notifier.wait_until(lambda: len(receiver.got) == 1)
    notifier.kill()  # while the receiver has the message and has not processed
    receiver.held.set()
    notifier.start()
    notifier.manage("shell", "-c", TELL.format(first=3, end=5, scans=scans))
    notifier.wait_until(lambda: notifier.count("webhooks_delivery WHERE status = 'delivered'") == 15)
    receiver.stop()

    assert notifier.count("webhooks_delivery") == 15
    assert all(verified(headers, body, secret) for headers, body in receiver.got)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 15
    assert len(receiver.got) == 16, "the one whose response was lost came twice"
    messages = [json.loads(body) for _, body in receiver.got]
    for scan in scans:
        mine = [message for message in messages if message["data"]["id"] == scan]
        assert list(dict.fromkeys(message["data"]["n"] for message in mine)) == [0, 1, 2, 3, 4]
        assert [m["sequence"] for m in mine] == sorted(m["sequence"] for m in mine)
