"""HL7 v2 messages over MLLP, with TLS where the destination asks for it."""

from __future__ import annotations

import socket

from webapp.results.models import Destination
from webapp.webhooks.addresses import host_target, resolve, resolve_private
from worker.sending.dicom import client_context
from worker.sending.outcome import SendError
from worker.support.http_client import cut_off

START, END = b"\x0b", b"\x1c\r"
SECONDS, IN_ALL, MOST = 10.0, 40.0, 1 << 16


def connect(destination: Destination) -> str:
    """Open and close a connection; raises AddressRefused and OSError."""
    _connected(destination).close()
    return "Connected. Whether the receiver takes messages is known when it gets one."


def send(destination: Destination, message: bytes, control_id: str) -> None:
    """Send a message and wait for its acknowledgement; raises SendError, AddressRefused and OSError."""
    connection = _connected(destination)
    with connection, cut_off(connection, IN_ALL):
        connection.sendall(START + message + END)
        _check(_response(connection), control_id)


def _response(connection: socket.socket) -> bytes:
    received = b""
    while END not in received:
        part = connection.recv(4096)
        if not part or len(received) > MOST:
            raise SendError(
                "hl7_no_response", "The receiver closed the connection without an acknowledgement."
            )
        received += part
    return received[received.find(START) + 1 : received.find(END)]


def _check(response: bytes, control_id: str) -> None:
    """Accept AA and CA for our message (HL7 v2.5.1 2.9.2); anything else raises SendError."""
    segments = response.decode("utf-8", "replace").replace("\n", "\r").split("\r")
    delimiter = segments[0][3:4] or "|"
    for segment in segments:
        fields = segment.split(delimiter)
        if fields[0] == "MSA" and len(fields) > 2:
            if fields[2].strip() != control_id:
                raise SendError("hl7_wrong_response", "The acknowledgement is for another message.")
            code = fields[1].strip()[:2]
            if code in ("AA", "CA"):
                return
            # AR and CR: rejected, perhaps for a reason that passes; AE and CE: an error in the message.
            known = code if code in ("AE", "AR", "CE", "CR") else "?"
            final = code in ("AE", "CE")
            raise SendError("hl7_refused", f"The receiver responded {known}.", final=final, down=not final)
    raise SendError("hl7_wrong_response", "The response is no acknowledgement.")


def _connected(destination: Destination) -> socket.socket:
    port = destination.port or 0
    target = host_target(destination.host, port)
    address = resolve(target) if destination.tls else resolve_private(target)
    raw = socket.create_connection((address, port), SECONDS)
    if not destination.tls:
        return raw
    try:
        return client_context().wrap_socket(raw, server_hostname=destination.host)
    except BaseException:
        raw.close()
        raise
