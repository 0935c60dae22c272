"""Where a request comes from: only named proxies are believed."""

from __future__ import annotations

import pytest

from webapp.core.http.network import client_ip, is_loopback


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "", "10.0.0.9"),
        (0, "192.0.2.1", "10.0.0.9"),
        (1, "192.0.2.66, 192.0.2.1", "192.0.2.1"),
        (2, "192.0.2.66, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        (2, "192.0.2.1", "192.0.2.1"),
        (1, "", "10.0.0.9"),
        (1, "nonsense", None),
    ],
)
def test_the_address_is_the_one_that_the_outermost_trusted_proxy_saw(
    rf, settings, proxies, forwarded, expected
):
    settings.HILUM_TRUSTED_PROXIES = proxies
    assert client_ip(rf.get("/", REMOTE_ADDR="10.0.0.9", HTTP_X_FORWARDED_FOR=forwarded)) == expected


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_loopback_in_every_spelling(rf, address):
    assert is_loopback(rf.get("/", REMOTE_ADDR=address))


@pytest.mark.parametrize("address", ["10.0.0.9", "::ffff:10.0.0.9", "", "localhost"])
def test_the_rest_is_not(rf, address):
    assert not is_loopback(rf.get("/", REMOTE_ADDR=address))


@pytest.mark.parametrize("header", ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP"])
def test_a_forwarded_request_is_not_loopback(rf, header):
    assert not is_loopback(rf.get("/", **{"REMOTE_ADDR": "127.0.0.1", header: "127.0.0.1"}))
