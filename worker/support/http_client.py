"""One POST to an address that somebody else chose: to the address that was judged, in bounded time."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from contextlib import suppress

from webapp.webhooks.addresses import Target, resolve

SECONDS, IN_ALL = 10.0, 20.0
AGENT = "Hilum-Webhooks/1"


class Unreadable(OSError):
    """What came back is no HTTP."""


def post(target: Target, body: bytes, headers: dict[str, str]) -> int:
    """Send JSON and answer the status; nothing of the response's body is read.

    Raises AddressRefused, OSError (timeouts and TLS errors are some). A receiver that dribbles its answer
    is cut off after IN_ALL seconds.
    """
    connection = _connected(target)
    cut_off = threading.Timer(IN_ALL, _shut, [connection.sock])
    cut_off.daemon = True
    cut_off.start()
    try:
        said = {"Content-Type": "application/json", "User-Agent": AGENT, "Connection": "close", **headers}
        connection.request("POST", target.path, body, said)
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise Unreadable from error
    finally:
        cut_off.cancel()
        connection.close()


def _connected(target: Target) -> http.client.HTTPConnection:
    raw = socket.create_connection((resolve(target), target.port), SECONDS)
    connection = http.client.HTTPConnection(target.host, target.port, timeout=SECONDS)
    connection.sock = raw
    if target.scheme == "https":
        connection.default_port = 443
        try:
            connection.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=target.host)
        except BaseException:
            raw.close()
            raise
    return connection


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
