"""The Python client against the site itself: its requests go through Django, without a server."""

from __future__ import annotations

import sys

import httpx
import pytest
from django.test import Client

from tests.architecture.source import ROOT
from webapp.accounts.services import token_create

sys.path.insert(0, str(ROOT / "clients" / "python" / "src"))


class Wire(httpx.BaseTransport):
    """Hands requests to Django's test client; `cut` is called before each, and may raise or set `instead`."""

    def __init__(self) -> None:
        self.django, self.asked, self.cut = Client(raise_request_exception=False), [], lambda request: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.path))
        self.instead: httpx.Response | None = None
        self.cut(request)
        if self.instead:
            return self.instead
        headers = dict(request.headers)
        kind = headers.pop("content-type", "")
        headers.pop("content-length", None)
        where = request.url.raw_path.decode()
        text = self.django.generic(request.method, where, request.read(), kind, headers=headers)
        return httpx.Response(text.status_code, headers=dict(text.items()), content=text.getvalue())


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def hilum(wire, owner, site):
    from hilum_client import Hilum

    scopes = ("scan.upload", "scan.view", "model.view")
    _, raw = token_create(user=owner, site=site, name="client", scopes=scopes)
    with Hilum("http://localhost", raw, transport=wire) as hilum:
        yield hilum


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Nobody sleeps; returns the pauses that would have been made."""
    from hilum_client import client, folder

    pauses: list[float] = []
    for module in (client, folder):
        monkeypatch.setattr(module.time, "sleep", pauses.append)
    return pauses
