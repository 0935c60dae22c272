"""The listener's connections: bounded in number, in size and in time, which pynetdicom's own are not."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import time
from io import BytesIO
from typing import Any

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from classifier.images.limits import MAX_FILE_BYTES

logger = logging.getLogger(__name__)

CHUNK = 1 << 16
MAX_PDU_BYTES = 1 << 20
MAX_COMMAND_BYTES = 1 << 16
HANDSHAKE_SECONDS = 10.0
# A PDU may pause at first, must then average the rate.
GRACE_SECONDS, BYTES_PER_SECOND = 10.0, 16 << 10
SEND_SECONDS = 30.0
# Messages read ahead of the one in hand. Senders wait for each response; one that does not is not read from.
MESSAGES_AHEAD = 2
CONNECTIONS_A_PLACE = 4


class Overflow(BytesIO):
    """Takes the place of a data set that is too large: the rest is received and dropped."""

    def write(self, data: Any) -> int:
        return len(data)


class BoundedSocket(AssociationSocket):
    """Refuses PDUs that are too large or arrive too slowly, and reads no faster than they are worked off."""

    @property
    def ready(self) -> bool:
        return self.assoc.dimse.msg_queue.qsize() < MESSAGES_AHEAD and super().ready

    def recv(self, nr_bytes: int) -> bytearray:
        if nr_bytes > MAX_PDU_BYTES:
            raise OSError("a PDU exceeds the negotiated length")
        self._bound_message()
        connection: Any = self.socket
        received, started = bytearray(), time.monotonic()
        while len(received) < nr_bytes:
            left = GRACE_SECONDS + len(received) / BYTES_PER_SECOND - (time.monotonic() - started)
            connection.settimeout(max(left, 0.001))
            data = connection.recv(min(CHUNK, nr_bytes - len(received)))
            if not data:
                break
            received += data
        return received

    def send(self, bytestream: bytes) -> None:
        if self.socket is not None:
            self.socket.settimeout(SEND_SECONDS)
        super().send(bytestream)

    def _bound_message(self) -> None:
        """Keep what is being received within bounds; raises OSError for an endless command set."""
        message: Any = self.assoc.dimse.message
        if message is None:
            return
        if message.encoded_command_set.tell() > MAX_COMMAND_BYTES:
            raise OSError("a command set is too large")
        if message.data_set.tell() > MAX_FILE_BYTES:
            message.data_set = Overflow()


class Handler(RequestHandler):
    """Starts TLS in the connection's own thread, so that a slow handshake delays no other connection."""

    server: Server

    def setup(self) -> None:
        if self.server.tls is not None:
            self.request.settimeout(HANDSHAKE_SECONDS)
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)

    def _create_association(self) -> Association:
        association = super()._create_association()
        # The library names the class of its sockets inside this method.
        association.dul.socket.__class__ = BoundedSocket
        return association


class Server(ThreadedAssociationServer):
    """`tls`: the context of the connections, or None for plain TCP."""

    request_queue_size = 64
    daemon_threads = True

    def __init__(self, *args: Any, tls: ssl.SSLContext | None = None, **kwargs: Any) -> None:
        self.tls = tls
        super().__init__(*args, **{**kwargs, "request_handler": Handler})

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Close connections beyond a multiple of the associations, before they cost a thread."""
        most = CONNECTIONS_A_PLACE * self.ae.maximum_associations
        if len(self.active_associations) < most:
            return True
        logger.warning("connection closed: more than %d are open; raise DICOM_MAX_ASSOCIATIONS", most)
        return False

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, ssl.SSLError):
            why = f"TLS failed ({error.reason or type(error).__name__}); check the sender's certificate"
        else:
            why = f"the connection failed ({type(error).__name__})"
        logger.warning("%s: %s", client_address[0], why)


def is_overflown(data_set: BytesIO) -> bool:
    return isinstance(data_set, Overflow)


def tls_context(certificate: str, key: str, authority: str = "") -> ssl.SSLContext:
    """TLS by BCP 195 (PS3.15 B.9); with `authority`, senders have to show a certificate of it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if authority:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def is_loopback(host: str) -> bool:
    infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = [str(info[4][0]) for info in infos]
    return all(one.startswith("127.") or one == "::1" for one in addresses)
