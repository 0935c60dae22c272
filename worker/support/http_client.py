"""One POST to an address that a user chose: to the address that was checked, in bounded time."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from contextlib import suppress

from django.conf import settings

from webapp.webhooks.addresses import Target, resolve

SECONDS, IN_ALL = 10.0, 20.0
AGENT = "Hilum-Webhooks/1"


class InvalidResponse(OSError):
    """The response is not HTTP."""


def post(target: Target, body: bytes, headers: dict[str, str]) -> int:
    """Send JSON and return the status; the response's body is not read.

    Raises AddressRefused and OSError (timeouts and TLS errors among them). A receiver that responds byte by
    byte is cut off after IN_ALL seconds.
    """
    connection = _connected(target)
    cut_off = threading.Timer(IN_ALL, _shut, [connection.sock])
    cut_off.daemon = True
    cut_off.start()
    try:
        sent = {"Content-Type": "application/json", "User-Agent": AGENT, "Connection": "close", **headers}
        connection.request("POST", target.path, body, sent)
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise InvalidResponse from error
    finally:
        cut_off.cancel()
        connection.close()


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
