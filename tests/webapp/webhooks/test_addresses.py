"""Where events may go: never to where only the server itself can reach."""

from __future__ import annotations

import socket

import pytest

from webapp.core.errors import CodedError
from webapp.webhooks import addresses
from webapp.webhooks.addresses import AddressRefused, resolve, target_of
from worker.support import http_client as post_module
from worker.support.http_client import post


@pytest.fixture
def production(settings):
    settings.PRODUCTION = True
    return settings


def responses(monkeypatch, *found: str) -> None:
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in found]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **kwargs: entries)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "//example.org/",
        "example.org",
        "https://",
        "https://user:secret@example.org/",
        "https://example.org/#part",
        "https://example.org:99999/",
        "https://exa mple.org/",
        "https://example.org/\r\nHost: a",
        "https://localhost/",
        "https://127.0.0.1/",
        "http://127.0.0.1/",
        "https://[::1]/",
        "https://10.1.2.3/",
        "https://192.168.0.1/",
        "https://172.16.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://[fe80::1]/",
        "https://[fc00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[64:ff9b:1::a00:1]/",
        "https://[64:ff9b:1:ffff:ffff:ffff:a00:1]/",
        "https://[fec0::1]/",
        "https://[feff::1]/",
        "https://[::10.0.0.1]/",
        "https://[::8.8.8.8]/",
        "https://[2002:a00:1::]/",
    ],
)
def test_an_address_that_may_not_be_sent_to_is_refused(production, url):
    with pytest.raises(CodedError) as refused:
        target_of(url)
    assert (refused.value.code, refused.value.status) == ("webhook_address_refused", 403)


def test_a_public_address_is_taken_apart(production):
    target = target_of("https://example.org:8443/events?to=hilum")
    assert (target.scheme, target.host, target.port, target.path) == (
        "https",
        "example.org",
        8443,
        "/events?to=hilum",
    )
    assert target_of("https://1.1.1.1").path == "/"


def test_loopback_is_open_outside_production_only(settings):
    settings.PRODUCTION = False
    assert target_of("http://127.0.0.1:9000/").port == 9000
    assert target_of("http://localhost:9000/").host == "localhost"
    with pytest.raises(CodedError):
        target_of("http://10.0.0.1/")


def test_a_network_that_the_settings_name_is_open_by_https(production):
    production.HILUM_WEBHOOK_NETWORKS = ["10.20.0.0/16", "fd00::/8"]
    assert target_of("https://10.20.1.1/").host == "10.20.1.1"
    assert target_of("https://[fd00::1]/").host == "fd00::1"
    for url in ("http://10.20.1.1/", "https://10.21.1.1/"):
        with pytest.raises(CodedError):
            target_of(url)


@pytest.mark.parametrize(
    "found", [("10.0.0.1",), ("1.1.1.1", "10.0.0.1"), ("127.0.0.1",), ("169.254.169.254",)]
)
def test_a_name_is_judged_by_every_address_that_it_has(production, monkeypatch, found):
    responses(monkeypatch, *found)
    with pytest.raises(AddressRefused):
        resolve(target_of("https://rebound.example.org/"))


def test_the_connection_is_made_to_the_address_that_was_judged(production, monkeypatch):
    responses(monkeypatch, "1.1.1.1")
    asked = []

    def connect(address, timeout):
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(post_module.socket, "create_connection", connect)
    with pytest.raises(ConnectionRefusedError):
        post(target_of("https://example.org/"), b"{}", {})
    assert asked == [("1.1.1.1", 443)]


def test_a_receiver_that_dribbles_its_result_is_cut_off(monkeypatch):
    monkeypatch.setattr(post_module, "IN_ALL", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(OSError):  # noqa: PT011 (which one depends on how far it came)
            post(target_of(f"http://127.0.0.1:{silent.getsockname()[1]}/"), b"{}", {})
