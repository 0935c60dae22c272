"""One request to an address that a user chose: to the address that was checked, in bounded time."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings

from webapp.webhooks.addresses import Target, resolve

SECONDS, IN_ALL = 10.0, 20.0
AGENT = "Hilum-Webhooks/1"


class InvalidResponse(OSError):
    """The response is not HTTP."""


def post(target: Target, body: bytes, headers: dict[str, str]) -> int:
    """Send JSON and return the status; the response's body is not read. Raises what `request` raises."""
    sent = {"Content-Type": "application/json", "User-Agent": AGENT, **headers}
    return request(target, "POST", body, sent, most=0)[0]


def request(
    target: Target,
    method: str,
    body: bytes | None,
    headers: dict[str, str],
    *,
    most: int,
    in_all: float = IN_ALL,
) -> tuple[int, bytes]:
    """The status and at most the first `most` bytes of the response.

    Raises AddressRefused and OSError (timeouts and TLS errors among them). A receiver that responds byte by
    byte is cut off after `in_all` seconds.
    """
    connection = _connected(target)
    with cut_off(connection.sock, in_all):
        try:
            connection.request(method, target.path, body, {"Connection": "close", **headers})
            response = connection.getresponse()
            return response.status, response.read(most) if most else b""
        except http.client.HTTPException as error:
            raise InvalidResponse from error
        finally:
            connection.close()


@contextmanager
def cut_off(sock: socket.socket, seconds: float) -> Iterator[None]:
    """Shut the connection after so many seconds, whatever the receiver does."""
    timer = threading.Timer(seconds, _shut, [sock])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def tls_context() -> ssl.SSLContext:
    """The system's certificate authorities, and those of HILUM_WEBHOOK_CA_FILE (PEM)."""
    context = ssl.create_default_context()
    if settings.HILUM_WEBHOOK_CA_FILE:
        context.load_verify_locations(settings.HILUM_WEBHOOK_CA_FILE)
    return context


def _connected(target: Target) -> http.client.HTTPConnection:
    raw = socket.create_connection((resolve(target), target.port), SECONDS)
    connection = http.client.HTTPConnection(target.host, target.port, timeout=SECONDS)
    connection.sock = raw
    if target.scheme == "https":
        connection.default_port = 443
        try:
            connection.sock = tls_context().wrap_socket(raw, server_hostname=target.host)
        except BaseException:
            raw.close()
            raise
    return connection


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
