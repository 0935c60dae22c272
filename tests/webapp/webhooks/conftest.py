"""A receiver on loopback that keeps what it gets and can be down, and a subscription that points to it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import transaction

from webapp.webhooks.kinds import SUBSCRIBABLE, EventKind
from webapp.webhooks.models import Delivery, Subscription
from webapp.webhooks.services import announce, subscription_create
from worker.jobs.notify import NotifyJob


class Receiver:
    """`responses` are the statuses to come, then `status`; `got`: (headers, raw body) of what it accepted."""

    def __init__(self) -> None:
        self.status, self.responses, self.got, self.asked = 200, [], [], 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.asked += 1
                status = receiver.responses.pop(0) if receiver.responses else receiver.status
                if 200 <= status < 300:
                    receiver.got.append((dict(self.headers), body))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *args) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/events?to=hilum"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def messages(self) -> list[dict]:
        return [json.loads(body) for _, body in self.got]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def subscription(site, owner, receiver) -> Subscription:
    return subscription_create(site=site, actor=owner, url=receiver.url, kinds=SUBSCRIBABLE)


@pytest.fixture
def announce_event(site):
    """Announces an event of the site: `announce_event(subject, n=3)`."""

    def announce_event(subject, kind: EventKind = EventKind.ANALYSIS_DONE, **data) -> None:
        with transaction.atomic():
            announce(site_id=site.pk, kind=kind, subject=subject, data=data)

    return announce_event


@pytest.fixture
def send_all():
    """Lets the worker send what is due, and with `later` what waits for its time."""

    def send_all(*, later: bool = False) -> int:
        job, steps = NotifyJob(), 0
        if later:
            Subscription.objects.update(paused_until=None)
            Delivery.objects.update(next_at="2026-01-01T00:00Z")
        while job.step():
            steps += 1
        return steps

    return send_all
